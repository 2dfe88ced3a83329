"""An explanation's sums against the model's own descriptors, and what its picture shows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from crossfix.errors import ModelError
from crossfix.evaluate.explain import Assigned, Explanation, explain
from crossfix.evaluate.explain_picture import DUSTBIN, PALETTE, cluster_colours, draw, overlay
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.describe import Describer
from crossfix.models.gengeo import ArchConfig, GemConfig, GenGeo, SaladConfig, build

SALAD = SaladConfig(clusters=8, cluster_dim=4, token_dim=6, hidden=16, dropout=0.0)


def made(**changes: object) -> tuple[GenGeo, ModelCard]:
    torch.manual_seed(0)
    config = ArchConfig("resnet10t", 64, SALAD, stride=8)
    config = replace(config, **changes)
    return build(config).eval(), ModelCard("toy", config, Preprocessing(64), query_turns=4)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def test_parts_sum_to_the_similarity_of_the_models_own_descriptors() -> None:
    model, card = made()
    photo, chip = picture(100, 100, 1), picture(80, 80, 2)
    found = explain(model, card, photo, chip)
    describer = Describer(model, card, precision="float32")
    best = (describer.describe_query([photo])[0] @ describer.describe([chip])[0]).max()
    assert found.similarity == pytest.approx(best, abs=1e-4)
    assert found.global_part + found.cluster_parts_M.sum() == pytest.approx(found.similarity, abs=1e-6)
    assert found.cluster_parts_M[found.ranked].tolist() == sorted(found.cluster_parts_M, reverse=True)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert sum(part["share"] for part in values["clusters"]) + values["global"]["share"] == pytest.approx(1)
    assert values["kept"]["photo"] == pytest.approx(8 / 64, abs=1e-2)  # the published dustbin keeps clusters / tokens, whatever it sees
    assert found.photo.plan_MRC.shape == (8, 8, 8)


def test_one_clusters_part_is_the_product_of_what_it_took() -> None:
    model, card = made()
    found = explain(model, replace(card, query_turns=1), picture(64, 64, 1), picture(64, 64, 2))
    total = []
    for side in (found.photo, found.chip):
        scale = torch.tensor(side.pixels.copy()).float() / 255
        img = (scale - torch.tensor(card.preprocessing.mean)) / torch.tensor(card.preprocessing.std)
        with torch.no_grad():
            tok, _ = model.encoder(img.permute(2, 0, 1)[None])
            feature = model.head.feature(tok)[0].numpy()
        taken = sum(side.plan_MRC[3].reshape(-1)[i] * feature[i] for i in range(64))
        total.append(taken / np.linalg.norm(taken) / 3)  # eight clusters and the global part, of norm 1 each, make norm 3
    assert found.cluster_parts_M[3] == pytest.approx(total[0] @ total[1], abs=1e-5)


@pytest.mark.parametrize(("turn", "words"), [(0, ""), (1, "left"), (2, "upside down"), (3, "right")])
def test_the_photo_is_turned_to_where_it_is_most_alike(turn: int, words: str) -> None:
    model, card = made()
    chip = picture(64, 64)
    found = explain(model, card, np.rot90(chip, -turn), chip)
    assert found.turn_deg == 90 * turn
    assert found.turned.endswith(words)
    assert found.similarity == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(found.photo.pixels, chip)
    np.testing.assert_allclose(found.photo.plan_MRC, found.chip.plan_MRC, atol=1e-6)


def test_the_middle_square_is_compared_and_drawn() -> None:
    model, card = made()
    photo = picture(60, 100)
    found = explain(model, replace(card, query_turns=1), photo, photo)
    np.testing.assert_array_equal(found.photo.pixels, photo[:, 20:80])
    whole = explain(model, card, photo, photo, ground=True)
    np.testing.assert_array_equal(whole.photo.pixels, photo)
    assert whole.turn_deg == 0


@pytest.mark.parametrize("ground_encoder", [False, True])
def test_photos_from_the_ground_are_compared_and_drawn_as_the_model_redraws_them(ground_encoder: bool) -> None:
    model, card = made(ground_encoder=ground_encoder)
    card = replace(card, preprocessing=replace(card.preprocessing, ground_hw=(64, 64), ground_fit="overhead"))
    panorama, chip = picture(64, 256, 1), picture(64, 64, 2)
    found = explain(model, card, panorama, chip, ground=True)
    describer = Describer(model, card, precision="float32")
    alike = describer.describe_query([panorama], kind="ground")[0] @ describer.describe([chip])[0]
    assert found.similarity == pytest.approx(alike.max(), abs=1e-3)
    assert found.turn_deg == 30 * alike.argmax()
    assert found.turned == f"redrawn as seen from above, its middle {found.turn_deg}° clockwise from up"
    assert found.photo.pixels.shape == (512, 512, 3)
    assert found.photo.plan_MRC.shape == (8, 8, 8)
    assert explain(model, replace(card, query_turns=1), panorama, chip, ground=True).turn_deg == 0, "its heading is known"


def test_other_heads_assign_nothing() -> None:
    with pytest.raises(ModelError, match="toy: its head is gem: only SALAD assigns"):
        explain(*made(head=GemConfig()), picture(64, 64), picture(64, 64))


def toy(parts: tuple[float, ...] = (0.1, 0.5, 0.2)) -> Explanation:
    """Cluster 1 takes the left column whole, 0 the middle column by half, nobody the right one."""
    plan = np.zeros((3, 2, 3), np.float32)
    plan[1, :, 0], plan[0, :, 1] = 0.8, 0.4
    side = Assigned(np.tile(np.array([200, 40, 90], np.uint8), (60, 90, 1)), plan)
    return Explanation("toy", "column", side, side, 0, sum(parts) + 0.1, 0.1, np.array(parts, np.float32))


def test_colours_go_by_what_a_cluster_adds() -> None:
    assert cluster_colours(toy()).tolist() == [list(PALETTE[2]), list(PALETTE[0]), list(PALETTE[1])]


def test_tokens_are_coloured_by_cluster_as_opaque_as_they_are_kept_and_grey_where_left_out() -> None:
    drawn = overlay(toy().photo, cluster_colours(toy()), (90, 60), full=0.8).astype(int)
    left, middle, right = drawn[30, 15], drawn[30, 45], drawn[30, 75]
    picture_alone = np.array([200, 40, 90])
    np.testing.assert_allclose(left, 0.28 * picture_alone + 0.72 * np.array(PALETTE[0]), atol=1)
    assert right.max() - right.min() == 0  # no colour is left
    assert abs(int(right[0]) - DUSTBIN[0]) < 40
    grey = 0.45 * picture_alone.mean() + 0.55 * DUSTBIN[0]
    np.testing.assert_allclose(middle, 0.64 * (0.5 * picture_alone + 0.5 * grey) + 0.36 * np.array(PALETTE[2]), atol=1)
    for x, colour in ((15, left), (45, middle), (75, right)):
        assert (drawn[5, x] == colour).all()


def test_the_whole_picture_holds_both_sides_and_the_legend() -> None:
    sheet = np.asarray(draw(toy(), "a photo with a name that is much longer than the room there is for it in its column.jpg"))
    assert sheet.shape[2] == 3
    for colour in (*PALETTE[:3], DUSTBIN):
        assert (sheet[:, 920:] == colour).all(2).any(), "every colour stands in the legend"
    assert (sheet[:, :900] == (200, 40, 90)).all(2).any(), "the picture as it is"
    worse = draw(toy((-0.3, -0.2, -0.1)))  # similarity below 0: no shares
    assert worse.size == draw(toy()).size
    assert toy((-0.3, -0.2, -0.1)).to_dict()["clusters"][0]["share"] is None


def test_nothing_kept_is_all_grey() -> None:
    side = Assigned(np.full((60, 60, 3), 90, np.uint8), np.zeros((3, 2, 2), np.float32))
    drawn = overlay(side, cluster_colours(toy()), (60, 60), full=0.0)
    assert (drawn.max(2) == drawn.min(2)).all()


def test_the_bundled_model_can_be_explained(tmp_path: Path) -> None:
    from crossfix.models.registry import open_model

    found = explain(*open_model("gengeo-tiny"), picture(90, 120, 3), picture(90, 90, 3))
    assert found.global_part + found.cluster_parts_M.sum() == pytest.approx(found.similarity, abs=1e-5)
