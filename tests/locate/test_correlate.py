"""Dense correlation on views of known place, with contrast that is not the map's."""

from __future__ import annotations

import numpy as np
import pytest

from crossfix.geo.photo import Photo, Prior
from crossfix.locate.correlate import TEMPLATE_PX, correlate, edge_field, prepare, refinements, trials
from crossfix.locate.query import Query
from places import ground, motion, seen

SPAN = 2.2
PX = round(SPAN * TEMPLATE_PX)


@pytest.fixture(scope="module")
def place() -> np.ndarray:
    return ground(PX, seed=5)


def query(place: np.ndarray, heading: float, centre: tuple[float, float], scale: float = 1.0) -> Query:
    """A photo of the place whose upper edge bears `heading`: turned by that from the north-up map."""
    side = round(TEMPLATE_PX * scale)
    finer = 2.0
    size = (round(side * finer * 4 / 3), round(side * finer))
    middle = ((size[0] - 1) / 2, (size[1] - 1) / 2)
    view = seen(place, motion(heading, 1 / finer, middle, centre), size)
    inverted = 255 - (view.astype(float) * [0.5, 0.8, 0.6]).astype(np.uint8)
    return Query.prepare(Photo("view", None, inverted), Prior())


@pytest.mark.parametrize(("heading", "centre"), [(0.0, (105.0, 105.0)), (64.0, (120.0, 90.0)), (200.0, (85.0, 130.0))])
def test_place_and_heading_are_found_in_inverted_contrast(place: np.ndarray, heading: float, centre: tuple[float, float]) -> None:
    seeker = query(place, heading, centre)
    target = prepare(place, np.ones(place.shape[:2], bool), TEMPLATE_PX)
    coarse = correlate(seeker, [target], trials([heading + 2.0], (1.0,)))[0]
    assert coarse is not None
    fine = correlate(seeker, [target], refinements(coarse))[0]
    assert fine is not None
    np.testing.assert_allclose(fine.xy, centre, atol=1.0)
    assert abs((fine.heading_deg - heading + 180) % 360 - 180) <= 3.0
    assert fine.psr > 8


def test_heading_unknown_is_found_all_around(place: np.ndarray) -> None:
    seeker = query(place, 141.0, (110.0, 100.0))
    peak = correlate(seeker, [prepare(place, np.ones(place.shape[:2], bool), TEMPLATE_PX)], trials(None, (1.0,)))[0]
    assert peak is not None
    np.testing.assert_allclose(peak.xy, (110.0, 100.0), atol=2.0)
    assert abs(peak.heading_deg - 141.0) < 7.5


def test_right_crop_beats_wrong_ones(place: np.ndarray) -> None:
    seeker = query(place, 10.0, (100.0, 110.0))
    whole = np.ones(place.shape[:2], bool)
    peaks = correlate(seeker, [prepare(ground(PX, seed), whole, TEMPLATE_PX) for seed in (6, 5, 7)], trials([10.0], (1.0,)))
    scores = [0.0 if peak is None else peak.score for peak in peaks]
    assert int(np.argmax(scores)) == 1
    assert scores[1] > 1.5 * max(scores[0], scores[2])


def test_crop_without_data_has_no_peak(place: np.ndarray) -> None:
    seeker = query(place, 0.0, (100.0, 100.0))
    assert correlate(seeker, [prepare(place, np.zeros(place.shape[:2], bool), TEMPLATE_PX)], trials([0.0], (1.0,))) == [None]


def test_edge_field_is_blind_to_contrast_and_doubles_turns(place: np.ndarray) -> None:
    whole = np.ones(place.shape[:2], bool)
    inner = (slice(20, -20), slice(20, -20))
    field = edge_field(place, whole)
    inverted = edge_field(255 - place, whole)
    turned = edge_field(np.ascontiguousarray(np.rot90(place, -1)), whole)

    def alike(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.real(np.vdot(a, b)) / np.sqrt(np.vdot(a, a).real * np.vdot(b, b).real))

    assert alike(field[inner], inverted[inner]) > 0.9
    # A quarter turn doubles to half a turn: the field changes its sign.
    assert alike(np.rot90(field, -1)[inner], -turned[inner]) > 0.9
