"""The model that comes with the package: its size, its card, and that it really finds places."""

from __future__ import annotations

from pathlib import Path

import cv2
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
        tmp_path_factory.mktemp("bank") / "b", BankPlan(("suburb", "town"), 24, 4242, px=96, epochs=1, views=1, panoramas=1), workers=1
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


def test_it_finds_panoramas_of_any_heading_where_nobody_trained(model: Describer, bank: PairBank) -> None:
    places = np.flatnonzero(bank.has_ground)
    assert bank.ground is not None
    assert len(places) >= 12
    query_PRD = model.describe_query([np.asarray(bank.ground[place, 0]) for place in places], kind="ground")
    score_PG = np.einsum("prd,gd->prg", query_PRD, model.describe(chips(bank))).max(1)
    rank_P = (score_PG >= score_PG[np.arange(len(places)), places][:, None]).sum(1)
    assert (rank_P <= 5).mean() >= 0.7, "by chance 0.2"


def test_a_chip_turned_anyhow_is_found_again(model: Describer, bank: PairBank) -> None:
    """30 degrees off the nearest quarter turn is as far as a heading can be, nearly: the best of its four turns must still know it."""
    gallery = chips(bank)
    middle = [(chip.shape[1] - 1) / 2 for chip in gallery]
    turned = [
        cv2.warpAffine(
            chip, cv2.getRotationMatrix2D((half, half), 90 * (i % 4) + 30, 1.0), chip.shape[:2], borderMode=cv2.BORDER_REFLECT_101
        )
        for i, (chip, half) in enumerate(zip(gallery, middle, strict=True))
    ]
    score = np.einsum("brd,gd->brg", model.describe_query(turned), model.describe(gallery)).max(1)
    assert (score.argmax(1) == np.arange(len(gallery))).mean() > 0.8
