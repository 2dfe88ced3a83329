from __future__ import annotations

import numpy as np

from crossfix.evaluate.bank import chips, photos, score_bank
from crossfix.evaluate.baselines import RotatedHog
from crossfix.worlds.pairs import BankPlan, PairBank


def turned_copies(places: int = 6) -> PairBank:
    """A bank whose two drone views are the chip as it stands and turned by 90 degrees."""
    satellite = np.random.default_rng(0).integers(0, 256, (places, 1, 72, 72, 3), dtype=np.uint8)
    chip = satellite[:, 0, 12:60, 12:60]
    drone = np.stack([np.rot90(chip, turn, axes=(1, 2)) for turn in (0, 1)], axis=1)
    return PairBank(satellite, drone, {"region": np.zeros(places, int)}, BankPlan(("farmland",), places, 0, 48, 1, 2))


class Blind(RotatedHog):
    """HOG that leaves its queries as they stand."""

    def describe_query(self, images):
        return self.describe(images)[:, None]


def test_chips_are_the_middle_and_photos_come_place_by_place():
    bank = turned_copies()
    np.testing.assert_array_equal(np.stack(chips(bank)), bank.satellite[:, 0, 12:60, 12:60])
    np.testing.assert_array_equal(np.stack(photos(bank)), bank.drone.reshape(12, 48, 48, 3))


def test_turned_queries_are_found_by_twelve_headings_and_half_of_them_without():
    bank, hog = turned_copies(), RotatedHog()
    seen: list[tuple[int, int]] = []
    aware = score_bank(bank, hog, progress=lambda done, total: seen.append((done, total)))
    blind = score_bank(bank, Blind())
    assert (aware.queries, aware.places, aware.gallery) == (12, 6, 6)
    assert aware.scores["R@1"].value == 1.0
    assert 0.5 <= blind.scores["R@1"].value < 1.0
    assert seen == [(6, 18), (18, 18)]
