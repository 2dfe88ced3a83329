from __future__ import annotations

import numpy as np
import pytest
import torch

from crossfix.errors import RunError
from crossfix.train.augment import plain
from crossfix.train.pairs import BankSource
from crossfix.train.source import Side, Validation
from crossfix.train.validate import validate
from crossfix.worlds.pairs import SATELLITE_MARGIN, PairBank


def by_pixels(picture_BHWC: np.ndarray, side: Side) -> torch.Tensor:
    img = plain(torch.from_numpy(picture_BHWC), 12, margin=SATELLITE_MARGIN if side == "satellite" else 1.0).flatten(1)
    return torch.nn.functional.normalize(img - img.mean(dim=1, keepdim=True))


def held(bank: PairBank, places: int) -> Validation:
    return BankSource(bank, places, seed=0).validation


def test_copies_are_found(bank):
    scores = validate(held(bank, 20), by_pixels, batch=7)
    assert scores == {"r1": 1.0, "r5": 1.0, "queries": 40, "places": 20}


def test_ties_count_against_the_query(bank):
    scores = validate(held(bank, 10), lambda picture, side: torch.ones(len(picture), 4), batch=4)
    assert scores["r1"] == scores["r5"] == 0.0


def test_half_found(bank):
    def blind_for_every_other(picture_BHWC: np.ndarray, side: Side) -> torch.Tensor:
        desc = torch.eye(8)
        if side == "query":
            desc[1::2] = desc[1::2].roll(1, dims=1)  # points at its neighbour
        return desc

    assert validate(held(bank, 8), blind_for_every_other, batch=8)["r1"] == 0.5


def test_any_right_picture_will_do_and_none_of_them_stands_in_the_way():
    """Two right pictures a query; the better one is second only to a wrong one for the last query."""
    sim = torch.tensor([[0.9, 0.8, 0.1], [0.2, 0.9, 0.5], [0.5, 0.1, 0.4]])
    own = np.array([[True, True, False], [False, True, True], [False, True, True]])
    rows = {"satellite": torch.eye(3), "query": sim}
    found = Validation(own, 2, lambda side, part: part)  # type: ignore[arg-type, return-value]
    scores = validate(found, lambda part, side: rows[side][torch.as_tensor(part)], batch=2)  # type: ignore[call-overload]
    assert scores == {"r1": pytest.approx(2 / 3, abs=1e-6), "r5": 1.0, "queries": 3, "places": 2}


def test_nan_is_refused(bank):
    with pytest.raises(RunError, match="not finite"):
        validate(held(bank, 4), lambda picture, side: torch.full((len(picture), 4), torch.nan), batch=4)


def test_turned_queries_are_found_by_four_turns_and_not_by_one(bank):
    turned = PairBank(bank.satellite, np.rot90(bank.drone, 1, axes=(2, 3)), bank.truth, bank.plan)
    assert validate(held(turned, 20), by_pixels, batch=7)["r1"] < 0.5
    assert validate(held(turned, 20), by_pixels, batch=7, turns=4)["r1"] == 1.0
