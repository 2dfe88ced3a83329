from __future__ import annotations

import numpy as np
import pytest
import torch

from crossfix.errors import RunError
from crossfix.train.augment import plain
from crossfix.train.validate import validate
from crossfix.worlds.pairs import PairBank


def by_pixels(picture_BHWC: np.ndarray, margin: float) -> torch.Tensor:
    img = plain(torch.from_numpy(picture_BHWC), 12, margin=margin).flatten(1)
    return torch.nn.functional.normalize(img - img.mean(dim=1, keepdim=True))


def test_copies_are_found(bank):
    scores = validate(bank, np.arange(5, 25), by_pixels, batch=7)
    assert scores == {"r1": 1.0, "r5": 1.0, "queries": 40, "places": 20}


def test_ties_count_against_the_query(bank):
    scores = validate(bank, np.arange(10), lambda picture, margin: torch.ones(len(picture), 4), batch=4)
    assert scores["r1"] == scores["r5"] == 0.0


def test_half_found(bank):
    def blind_for_every_other(picture_BHWC: np.ndarray, margin: float) -> torch.Tensor:
        desc = torch.eye(8)
        if margin == 1.0:
            desc[1::2] = desc[1::2].roll(1, dims=1)  # points at its neighbour
        return desc

    scores = validate(bank, np.arange(8), blind_for_every_other, batch=8)
    assert scores["r1"] == 0.5


def test_nan_is_refused(bank):
    with pytest.raises(RunError, match="not finite"):
        validate(bank, np.arange(4), lambda picture, margin: torch.full((len(picture), 4), torch.nan), batch=4)


def test_turned_queries_are_found_by_four_turns_and_not_by_one(bank):
    turned = PairBank(bank.satellite, np.rot90(bank.drone, 1, axes=(2, 3)), bank.truth, bank.plan)
    assert validate(turned, np.arange(20), by_pixels, batch=7)["r1"] < 0.5
    assert validate(turned, np.arange(20), by_pixels, batch=7, turns=4)["r1"] == 1.0
