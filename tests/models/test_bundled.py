"""The model that comes with the package: its size, its card, and that it really finds places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossfix.evaluate.bank import chips, score_bank
from crossfix.evaluate.baselines import ColourHistogram
from crossfix.models.describe import Describer
from crossfix.models.registry import info, load
from crossfix.train.recipes import recipe
from crossfix.worlds.pairs import BankPlan, PairBank, make_pair_bank


@pytest.fixture(scope="module")
def model() -> Describer:
    return load("gengeo-tiny")


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> PairBank:
    """Two towns nobody trained on, twelve places each."""
    return make_pair_bank(
        tmp_path_factory.mktemp("bank") / "b", BankPlan(("suburb", "town"), 24, 4242, px=96, epochs=1, views=1), workers=1
    )


def test_it_is_small_and_its_card_says_how_it_was_made() -> None:
    folder = Path(__file__).resolve().parents[2] / "src" / "crossfix" / "models" / "weights" / "gengeo-tiny"
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 16e6
    card = info("gengeo-tiny")
    assert card.head_trained
    assert card.licence == "Apache-2.0"
    committed = recipe("gengeo-tiny").to_dict()
    assert {key: card.recipe[key] for key in committed} == committed, "the card's recipe is the committed one"
    assert card.seed == committed["seed"]
    assert card.metrics


def test_it_finds_places_nobody_trained_on(model: Describer, bank: PairBank) -> None:
    found = score_bank(bank, model).scores["R@1"].value
    assert found >= 0.6
    assert found > score_bank(bank, ColourHistogram()).scores["R@1"].value + 0.2


def test_a_turned_chip_keeps_its_descriptor_in_the_main(model: Describer, bank: PairBank) -> None:
    gallery = chips(bank)
    upright, turned = model.describe(gallery), model.describe([np.ascontiguousarray(np.rot90(chip)) for chip in gallery])
    own, other = (upright * turned).sum(1), (upright * np.roll(turned, 1, 0)).sum(1)
    assert np.median(own) > np.median(other) + 0.3
