from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfix.data.stress.geometry import field_of_view, quarter_turned, turned_panorama
from crossfix.errors import InputError
from crossfix.train.panoramas import PanoramaAugment, holes, middle, spoil, turn_together

PX, HEIGHT, WIDTH = 96, 12, 96


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def generators(count: int, seed: int = 0) -> list[torch.Generator]:
    return [generator(1000 * seed + row) for row in range(count)]


def wheel(bearing_rad: np.ndarray, phase: float) -> torch.Tensor:
    """A colour for every bearing, (3, *): no two alike, and no mirror image of itself."""
    waves = [np.sin(bearing_rad + phase), np.cos(bearing_rad + phase), np.sin(2 * bearing_rad + 1 + phase)]
    return torch.from_numpy(np.stack([0.5 + 0.5 * wave for wave in waves])).float()


def seen_around(phase: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A panorama and a satellite picture in which every bearing has its own colour: north is up, and in the middle column."""
    column = (np.arange(WIDTH) + 0.5) / WIDTH - 0.5
    ground = wheel(2 * math.pi * column, phase)[:, None].repeat(1, HEIGHT, 1)
    step = np.arange(PX) - (PX - 1) / 2
    east, south = np.meshgrid(step, step)
    return ground, wheel(np.arctan2(east, -south), phase)


def around(satellite_CHW: torch.Tensor) -> torch.Tensor:
    """The satellite picture's colours at the bearings of a panorama's columns, clockwise from its upper edge, (3, W)."""
    bearing = 2 * math.pi * ((np.arange(WIDTH) + 0.5) / WIDTH - 0.5)
    radius, middle_px = 0.4 * PX, (PX - 1) / 2
    x, y = np.rint(middle_px + radius * np.sin(bearing)), np.rint(middle_px - radius * np.cos(bearing))
    return satellite_CHW[:, y.astype(int), x.astype(int)]


def batch(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    pairs = [seen_around(phase) for phase in np.linspace(0, 2, count)]
    return torch.stack([ground for ground, _ in pairs]), torch.stack([satellite for _, satellite in pairs])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**30), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.75, 1.0]))
def test_a_rolled_panorama_and_a_turned_satellite_picture_stay_a_pair(seed: int, mirror: float, turn: float):
    ground_BCHW, satellite_BCHW = turn_together(*batch(6), PanoramaAugment(mirror=mirror, turn=turn), generators(6, seed))
    for ground_CHW, satellite_CHW in zip(ground_BCHW, satellite_BCHW, strict=True):
        torch.testing.assert_close(around(satellite_CHW), ground_CHW[:, 0], atol=0.08, rtol=0)


def test_pairs_that_are_turned_otherwise_are_told_apart():
    """The check above can fail: a roll to the other side, or a mirrored satellite picture alone, is no pair."""
    ground, satellite = seen_around(0.0)
    assert (around(satellite.rot90(1, (1, 2))) - ground.roll(WIDTH // 4, 2)[:, 0]).abs().max() > 0.5
    assert (around(satellite.flip(2)) - ground[:, 0]).abs().max() > 0.5


def test_convention_turns_are_those_of_the_stress_dials():
    """Which have tests of their own of what a camera sees."""
    grounds, satellites = batch(40)
    turned, quartered = turn_together(grounds, satellites, PanoramaAugment(mirror=0.0, turn=1.0), generators(40))
    seen = set()
    for row in range(40):
        satellite, ground = (picture[row].permute(1, 2, 0).numpy() for picture in (satellites, grounds))
        quarters = [k for k in range(4) if np.array_equal(quarter_turned(satellite, k), quartered[row].permute(1, 2, 0).numpy())]
        assert len(quarters) == 1
        np.testing.assert_array_equal(turned_panorama(ground, 90 * quarters[0]), turned[row].permute(1, 2, 0).numpy())
        seen.add(quarters[0])
    assert seen == {1, 2, 3}


def test_each_way_comes_as_often_as_it_should():
    grounds, satellites = (picture[:1].expand(4000, -1, -1, -1)[..., ::8, ::8] for picture in batch(1))
    _, turned = turn_together(grounds, satellites, PanoramaAugment(), generators(4000))
    ways = {}
    for mirror in (False, True):
        base = satellites[0].flip(2) if mirror else satellites[0]
        for quarters in range(4):
            ways[mirror, quarters] = int((turned == base.rot90(quarters, (1, 2))).all(dim=(1, 2, 3)).sum())
    assert sum(ways.values()) == 4000
    assert all(abs(count - 500) < 100 for count in ways.values()), "both mirrors and all four headings alike"


def test_free_headings_roll_the_panorama_alone():
    grounds, satellites = (picture[:1].expand(400, -1, -1, -1) for picture in batch(1))
    rolled, turned = turn_together(grounds, satellites, PanoramaAugment(heading="free", mirror=0.0, turn=0.0), generators(400))
    assert torch.equal(turned, satellites)
    ways = [next(k for k in range(WIDTH) if torch.equal(grounds[0].roll(k, 2), picture)) for picture in rolled]
    assert len(set(ways)) > 0.9 * WIDTH
    assert np.histogram(ways, 4, (0, WIDTH))[0].min() > 60
    kept, still = turn_together(grounds, satellites, PanoramaAugment(heading="north", mirror=0.0), generators(400))
    assert torch.equal(kept, grounds)
    assert torch.equal(still, satellites)


@pytest.mark.parametrize(("fov_deg", "width"), [(360, 96), (180, 48), (90, 24), (70, 16), (1, 8), (359, 96)])
def test_a_field_of_view_is_the_middle_in_whole_patches(fov_deg: float, width: int):
    ground = batch(1)[0]
    kept = middle(ground, fov_deg, 8)
    assert kept.shape[3] == width
    if fov_deg in (180, 90):
        want = field_of_view(ground[0].permute(1, 2, 0).numpy(), fov_deg)
        np.testing.assert_array_equal(kept[0].permute(1, 2, 0).numpy(), want)
    with pytest.raises(InputError, match="two angles"):
        PanoramaAugment(fov_deg=(70, 400))


def test_pictures_are_spoilt_as_often_as_asked_and_stay_pictures():
    img_BCHW = torch.rand(300, 3, 20, 20, generator=generator(1))
    nothing = PanoramaAugment(jitter=0.0, sharpness=0.0, cut=0.0)
    assert torch.equal(spoil(img_BCHW, nothing, 0.4, generators(300)), img_BCHW)
    for name in ("jitter", "sharpness", "cut"):
        spoilt = spoil(img_BCHW, PanoramaAugment(**{"jitter": 0.0, "sharpness": 0.0, "cut": 0.0, name: 0.3}), 0.4, generators(300))
        share = float((spoilt != img_BCHW).flatten(1).any(1).float().mean())
        assert 0.2 < share < 0.4, name
        assert spoilt.min() >= 0
        assert spoilt.max() <= 1
    once, again, other = (spoil(img_BCHW[:8], PanoramaAugment(), 0.4, generators(8, seed)) for seed in (3, 3, 4))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def test_jitter_stays_within_its_strength():
    grey = torch.full((200, 3, 8, 8), 0.5)
    spoilt = spoil(grey, PanoramaAugment(jitter=1.0, sharpness=0.0, cut=0.0), 0.4, generators(200))
    assert (spoilt - 0.5).abs().max() <= 0.5 * 0.15 + 1e-5, "of grey only the brightness changes"
    assert (spoilt - 0.5).abs().max() > 0.06


def test_holes_are_a_grid_or_rectangles():
    shares = []
    for seed in range(60):
        mask = holes(60, 240, 0.5, generator(seed))
        assert mask.shape == (1, 60, 240)
        assert set(mask.unique().tolist()) == {0.0, 1.0}
        shares.append(1 - float(mask.mean()))
    grids = [share for share in shares if abs(share - 0.25) < 0.02]  # half of each unit, both ways
    assert 15 < len(grids) < 45
    rectangles = [share for share in shares if abs(share - 0.25) >= 0.02]
    assert min(rectangles) > 0.01
    assert max(rectangles) < 25 * (0.2 * 60 + 1) ** 2 / (60 * 240), "their sides go by the height alone"
