"""Drone pictures and panoramas in one training."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from crossfix.data.worldsv1 import WorldsV1
from crossfix.errors import DataError, InputError
from crossfix.evaluate.lab import Condition, run_lab
from crossfix.index.fit import map_describer
from crossfix.losses.contrastive import InfoNCE
from crossfix.models.gengeo import ArchConfig, SaladConfig, build
from crossfix.models.point_branch import PointConfig
from crossfix.models.registry import load
from crossfix.train.augment import AugmentConfig, ColourConfig, WarpConfig
from crossfix.train.config import OptimConfig, SetData, TrainConfig
from crossfix.train.dataset_source import DatasetSource
from crossfix.train.geolink import GeoLinkTraining
from crossfix.train.ground import GroundViews, rolled
from crossfix.train.loop import train
from crossfix.train.pairs import BankSource
from crossfix.train.panoramas import PanoramaAugment
from crossfix.train.prepare import Prepare, Prepared
from crossfix.train.reading import Reader
from crossfix.train.siamese import Siamese
from crossfix.worlds.pairs import BankPlan, PairBank, make_pair_bank
from lab_clouds import write_lab_with_clouds

STILL = PanoramaAugment(jitter=0.0, sharpness=0.0, cut=0.0)
BOTH = TrainConfig(
    recipe="both",
    arch=ArchConfig("test_resnet", 32, SaladConfig(clusters=4, cluster_dim=8, token_dim=8, hidden=16, dropout=0.0), stride=8, squares=True),
    data=SetData("worlds-v1", "train", "d2s", (48, 48), 48, draw="place"),
    steps=4,
    batch=4,
    held_out=4,
    optim=OptimConfig(learning_rate=2e-3, warmup_steps=2),
    augment=AugmentConfig(satellite=WarpConfig(rotate_deg=10.0), upright=False),
    precision="32-true",
    validate_every=2,
    checkpoint_every=2,
    log_every=1,
    ground=GroundViews((32, 128), augment=STILL),
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lab_with_clouds(tmp_path_factory.mktemp("lab"))


def opened(lab: Path, config: TrainConfig = BOTH) -> DatasetSource:
    assert isinstance(config.data, SetData)
    return DatasetSource(WorldsV1(lab), config.data, config.held_out, config.seed, Reader(1), config.ground)


def bright(picture_BHWC: np.ndarray) -> np.ndarray:
    return picture_BHWC.reshape(len(picture_BHWC), -1, 3).mean(1)


def test_the_first_places_of_a_batch_show_their_own_panoramas(lab: Path):
    source = opened(lab)
    batch = source.read(np.array([5, 0, 3, 6]), 7)
    assert batch.ground_GHWC is not None
    assert batch.ground_GHWC.shape == (2, 32, 128, 3)
    own = np.abs(bright(batch.ground_GHWC)[:, None] - bright(batch.satellite_BHWC)[None]).sum(2)  # of one texture in this laboratory
    assert own.argmin(1).tolist() == [0, 1]
    again = source.read(np.array([5, 0, 3, 6]), 7)
    np.testing.assert_array_equal(again.ground_GHWC, batch.ground_GHWC)


def test_held_out_places_are_asked_for_by_panoramas_too(lab: Path):
    source = opened(lab)
    assert source.ground is not None
    assert (source.ground.side, source.ground.places, source.ground.own_QG.shape) == ("ground", 4, (4, 4))
    pictures = source.ground.read("ground", np.arange(4)), source.ground.read("satellite", np.arange(4))
    own = np.abs(bright(pictures[0])[:, None] - bright(pictures[1])[None]).sum(2)
    assert own.argmin(1).tolist() == source.ground.own_QG.argmax(1).tolist()
    assert opened(lab, dataclasses.replace(BOTH, ground=None)).ground is None


def test_places_without_a_panorama_show_none(tmp_path: Path):
    lab = write_lab_with_clouds(tmp_path / "lab", trained=6)
    table = lab / "train" / "images.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if not line.startswith(("ground/00002", "ground/00005"))))
    source = opened(lab, dataclasses.replace(BOTH, held_out=1, ground=GroundViews((32, 128), share=1.0, augment=STILL)))
    batch = source.read(np.arange(5), 0)
    assert batch.ground_row_G is not None
    shown = {source.places[place].rpartition("-")[2] for place in batch.place_J[batch.ground_row_G]}
    assert shown == {source.places[place].rpartition("-")[2] for place in batch.place_J} - {"00002", "00005"}
    assert opened(lab, dataclasses.replace(BOTH, held_out=2)).read(batch.ground_row_G[:1], 0).ground_GHWC is None, "one has no negatives"
    table.write_text("".join(line for line in lines if not line.startswith("ground/")))
    with pytest.raises(DataError, match="holds no ground views"):
        opened(lab)


def test_panoramas_are_rolled_and_mirrored():
    ground = torch.arange(24.0).reshape(2, 1, 1, 12).expand(2, 3, 4, 12)
    turned = rolled(ground, torch.tensor([False, True]), (torch.Generator().manual_seed(seed) for seed in range(2)))
    for one, was in zip(turned[:, 0, 0], (ground[0, 0, 0], ground[1, 0, 0].flip(0)), strict=True):
        assert any(torch.equal(one, was.roll(by)) for by in range(12))
    bearings = {int(rolled(ground[:1], torch.tensor([False]), [torch.Generator().manual_seed(seed)])[0, 0, 0, 0]) for seed in range(60)}
    assert len(bearings) > 8


def test_panoramas_are_mirrored_with_the_places_other_pictures(lab: Path):
    """Squares of the satellite picture and a panorama of the same texture: mirrored ones are found by asking which of both fits."""
    no_colour = ColourConfig(**dict.fromkeys((field.name for field in dataclasses.fields(ColourConfig)), 0.0))
    plain = AugmentConfig(satellite=WarpConfig(), drone=WarpConfig(), colour=no_colour)
    config = dataclasses.replace(BOTH, augment=plain, batch=8, ground=GroundViews((32, 128), share=1.0, augment=STILL))
    source = opened(lab, config)
    prepare = Prepare(config, 1.0, 32, torch.device("cpu"))
    batch = source.read(np.arange(8), 0)
    assert batch.ground_GHWC is not None
    seen = prepare(batch, 0, 0)
    assert seen.ground_GCHW is not None
    stored = prepare.plain(batch.ground_GHWC, "ground")
    square = torch.nn.functional.interpolate(seen.satellite_BCHW, (32, 128), mode="bilinear")
    for row in range(8):
        ways = {flip: stored[row].flip(2) if flip else stored[row] for flip in (False, True)}
        found = [flip for flip, way in ways.items() for by in range(128) if torch.equal(way.roll(by, 2), seen.ground_GCHW[row])]
        apart = {flip: float((ways[flip] - square[row]).abs().mean()) for flip in ways}
        assert found == [min(apart, key=lambda flip: apart[flip])]


def test_the_loss_is_that_of_both_contrasts():
    torch.manual_seed(0)
    model = build(BOTH.arch)
    module = Siamese(model, InfoNCE(), None, 0.0, InfoNCE(), 0.5).eval()
    satellite, drone, ground = torch.randn(4, 3, 32, 32), torch.randn(4, 3, 32, 32), torch.randn(2, 3, 32, 128)
    place = torch.tensor([3, 1, 4, 5])
    found = module(Prepared(satellite, drone, place, None, None, None, ground, torch.tensor([3, 1])))
    rows = (torch.arange(4), torch.tensor([3, 1]))
    views = zip((drone, ground), rows, strict=True)
    first, second = (InfoNCE()(model(one), model(satellite)[row], place[row]) for one, row in views)
    torch.testing.assert_close(found, first + 0.5 * second)


def test_a_model_of_both_is_trained_and_says_how_panoramas_are_taken(tmp_path: Path, lab: Path):
    result = train(BOTH, tmp_path / "run", root=lab, workers=1)
    assert set(result.results["validation"]) >= {"r1", "ground_r1", "ground_queries"}
    card = json.loads((tmp_path / "run/card.json").read_text())
    assert card["preprocessing"]["ground_hw"] == [32, 128]
    assert card["architecture"]["squares"] is True
    assert card["any_view"] is True
    assert map_describer(tmp_path / "run").input_px == 32, "it knows photos from above, too"
    rows = run_lab(load(tmp_path / "run"), lab, only=[Condition("seen", name, "seen", way) for name, way in (("a", "d2s"), ("b", "g2s"))])[
        "rows"
    ]
    assert [row["queries"] for row in rows] == [12, 3]


def test_a_killed_training_of_both_goes_on_to_the_same_weights(tmp_path: Path, lab: Path):
    whole = train(BOTH, tmp_path / "whole", root=lab, workers=1)

    class KilledError(Exception):
        pass

    def kill(done: int, _: int) -> None:
        if done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        train(BOTH, tmp_path / "killed", kill, root=lab, workers=1)
    again = train(BOTH, tmp_path / "killed", root=lab, workers=2)
    assert again.results["sha256"] == whole.results["sha256"]


def test_3d_guides_a_training_of_both(tmp_path: Path, lab: Path):
    points = PointConfig(points=64, centres=(16, 8), growth=(2, 2), blocks=(0, 1), neighbours=4)
    with_clouds = dataclasses.replace(BOTH, geolink=GeoLinkTraining(points=points))
    train(with_clouds, tmp_path / "run", root=lab, workers=1)
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    terms = [line["terms"] for line in lines if "terms" in line]
    assert all(one["ground"] > 0 and one["points"] > 0 for one in terms)


# Banks of worlds


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> PairBank:
    plan = BankPlan(("suburb",), 8, seed=3, px=32, epochs=1, views=2, side_m=(120.0, 330.0), panoramas=2, panorama_px=32)
    return make_pair_bank(tmp_path_factory.mktemp("bank"), plan, workers=1)


def test_a_bank_has_panoramas_of_places_with_small_chips(bank: PairBank):
    assert bank.ground is not None
    assert bank.ground.shape == (8, 2, 32, 128, 3)
    assert 0 < bank.has_ground.sum() < 8
    assert (bank.truth["side_m"][bank.has_ground] <= 260).all()
    for place in range(8):
        assert (bank.ground[place].reshape(2, -1).std(1) > 5).all() == bank.has_ground[place]
    assert not np.array_equal(*bank.ground[np.flatnonzero(bank.has_ground)[0]]), "two days"


def test_panoramas_change_nothing_else_in_a_bank(bank: PairBank, tmp_path: Path):
    plan = dataclasses.replace(bank.plan, panoramas=0, panorama_px=64)
    other = make_pair_bank(tmp_path / "bank", plan, workers=1)
    np.testing.assert_array_equal(other.satellite, bank.satellite)
    np.testing.assert_array_equal(other.drone, bank.drone)
    assert other.ground is None
    assert not other.has_ground.any()
    assert set(json.loads((tmp_path / "bank/meta.json").read_text())["plan"]) & {"panoramas", "panorama_px"} == set()


def test_a_bank_is_trained_on_with_its_panoramas(bank: PairBank, tmp_path: Path):
    views = GroundViews((32, 128), share=1.0, augment=STILL)
    config = dataclasses.replace(BOTH, data=bank.plan, ground=views, held_out=3, tokens_weight=1.0)
    results = train(config, tmp_path / "run", bank=bank, workers=1).results
    assert results["steps"] == 4
    source = BankSource(bank, 3, 0, views)
    batch = source.read(np.arange(5), 1)
    assert batch.ground_GHWC is not None
    assert batch.ground_row_G is not None
    assert batch.ground_row_G.tolist() == np.flatnonzero(bank.has_ground[batch.place_J]).tolist()
    for row, picture in zip(batch.ground_row_G, batch.ground_GHWC, strict=True):
        assert any(np.array_equal(picture, one) for one in bank.ground[batch.place_J[row]])  # type: ignore[index]
    if source.ground is not None:
        held = source.ground.own_QG.argmax(1)
        np.testing.assert_array_equal(source.ground.read("ground", np.arange(len(held))), bank.ground[source.held_rows[held], 0])  # type: ignore[index]
    with pytest.raises(InputError, match="32 x 128, the config's 32 x 64"):
        BankSource(bank, 3, 0, GroundViews((32, 64)))
    with pytest.raises(InputError, match="the bank has no panoramas"):
        BankSource(PairBank(bank.satellite, bank.drone, bank.truth, bank.plan), 3, 0, views)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(InputError, match="go beside drone pictures"):
        dataclasses.replace(BOTH, data=SetData("cvusa", "train", "g2s", (32, 128), 32), augment=PanoramaAugment())
    with pytest.raises(InputError, match="gradient caching"):
        dataclasses.replace(BOTH, cached=2)
    for wrong in ({"share": 0.0}, {"share": 1.5}, {"weight": 0.0}, {"weight": float("nan")}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            GroundViews(**wrong)
