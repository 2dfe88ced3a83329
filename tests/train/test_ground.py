"""Drone pictures and panoramas in one training."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from crossfix.data.stress.geometry import turned_panorama
from crossfix.data.worldsv1 import WorldsV1
from crossfix.errors import DataError, InputError
from crossfix.evaluate.lab import Condition, run_lab
from crossfix.index.fit import map_describer
from crossfix.losses.contrastive import InfoNCE
from crossfix.models.describe import fit
from crossfix.models.gengeo import ArchConfig, SaladConfig, build
from crossfix.models.overhead import overhead
from crossfix.models.point_branch import PointConfig
from crossfix.models.registry import load
from crossfix.train.augment import AugmentConfig, ColourConfig, WarpConfig, augment
from crossfix.train.config import OptimConfig, SetData, TrainConfig
from crossfix.train.dataset_source import DatasetSource
from crossfix.train.geolink import GeoLinkTraining
from crossfix.train.ground import Facing, GroundViews, redrawn, rolled
from crossfix.train.loop import train
from crossfix.train.pairs import BankSource
from crossfix.train.panoramas import PanoramaAugment
from crossfix.train.prepare import Prepare, Prepared
from crossfix.train.reading import Reader
from crossfix.train.siamese import Siamese
from crossfix.train.source import PairBatch
from crossfix.worlds.pair_panoramas import GROUND_HEADING, GROUND_POINTS
from crossfix.worlds.pairs import SATELLITE_MARGIN, BankPlan, PairBank, make_pair_bank
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
    ground=GroundViews((32, 128), fit="whole", augment=STILL),
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
    source = opened(lab, dataclasses.replace(BOTH, held_out=1, ground=GroundViews((32, 128), share=1.0, fit="whole", augment=STILL)))
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
    config = dataclasses.replace(BOTH, augment=plain, batch=8, ground=GroundViews((32, 128), share=1.0, fit="whole", augment=STILL))
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


# Redrawn as seen from above


OVERHEAD = dataclasses.replace(
    BOTH,
    arch=dataclasses.replace(BOTH.arch, squares=False, coordinates=True),
    augment=AugmentConfig(satellite=WarpConfig(rotate_deg=10.0), upright=True),
    ground=GroundViews((32, 128), share=1.0, augment=dataclasses.replace(STILL, fov_deg=(90.0, 360.0))),
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A laboratory whose pictures say where they look."""
    return write_lab_with_clouds(tmp_path_factory.mktemp("told"), headings=True)


def test_both_ways_of_redrawing_give_one_picture():
    rng = np.random.default_rng(0)
    picture = torch.nn.functional.interpolate(
        torch.rand(1, 3, 8, 32, generator=torch.Generator().manual_seed(0)), (64, 256), mode="bicubic"
    )
    stored = (picture[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    fill = tuple(int(level) for level in rng.integers(0, 255, 3))
    for fov_deg in (360.0, 140.0):
        shown = stored if fov_deg == 360 else stored[:, 128 - 50 : 128 + 50]
        asked = overhead(shown, 64, fill, 360 * shown.shape[1] / 256)
        facing = dataclasses.replace(Facing.north(1), fov_deg_G=torch.tensor([360 * shown.shape[1] / 256]))
        ground_GCHW = torch.from_numpy(stored).permute(2, 0, 1)[None] / 255
        drawn = redrawn(ground_GCHW, 64, facing, torch.tensor(fill)[:, None, None] / 255)
        apart = np.abs(drawn[0].permute(1, 2, 0).numpy() * 255 - asked)
        assert np.quantile(apart, 0.97) < 2, "all but pixels on the edge of what is shown"
        assert fov_deg < 360 or apart.max() < 3


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("turn_deg", [0.0, 90.0, 180.0, 250.0])
def test_convention_redrawn_panoramas_stand_as_their_satellite_pictures(mirror: bool, turn_deg: float):
    """North is red, east green, south blue, west white, on the map and around the camera."""
    colours = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 250]], np.uint8)
    at = (np.arange(96) + 0.5) / 48 - 1
    x, y = np.meshgrid(at, at)
    stored = colours[np.round(np.degrees(np.arctan2(x, -y)) / 90).astype(int) % 4]
    bearing = ((np.arange(256) + 0.5) / 256 - 0.5) * 360
    panorama = np.repeat(colours[np.round(bearing / 90).astype(int) % 4][None], 64, 0)
    none = ColourConfig(**dict.fromkeys((field.name for field in dataclasses.fields(ColourConfig)), 0.0))
    told = {"mirror_B": torch.tensor([mirror]), "turn_B": torch.tensor([np.radians(turn_deg)], dtype=torch.float32)}
    satellite, warp = augment(torch.from_numpy(stored)[None], 64, WarpConfig(), none, torch.Generator(), **told)
    facing = dataclasses.replace(Facing.north(1), warp_G22=warp[:, :, :2])
    drawn = redrawn(torch.from_numpy(panorama).permute(2, 0, 1)[None] / 255, 64, facing, torch.zeros(3, 1, 1))
    same = (drawn - satellite).abs().amax(1) < 0.1
    assert same.float().mean() > 0.85, "all but the borders between colours"
    away = redrawn(
        torch.from_numpy(panorama).permute(2, 0, 1)[None] / 255,
        64,
        dataclasses.replace(facing, away_deg_G=torch.tensor([90.0])),
        torch.zeros(3, 1, 1),
    )
    assert ((away - satellite).abs().amax(1) < 0.1).float().mean() < 0.15


def test_a_part_of_the_horizon_lies_to_the_side_it_is_put():
    white = torch.ones(4, 3, 32, 128)
    sides = dataclasses.replace(Facing.north(4), fov_deg_G=torch.full((4,), 90.0), middle_deg_G=90 * torch.arange(4.0))
    drawn = redrawn(white, 32, sides, torch.zeros(3, 1, 1)).mean(1)
    up, right, down, left = drawn[:, 4, 16], drawn[:, 16, 27], drawn[:, 27, 16], drawn[:, 16, 4]
    torch.testing.assert_close(torch.stack([up, right, down, left], 1), torch.eye(4))


def test_a_model_takes_redrawn_panoramas_like_any_picture(tmp_path: Path, told: Path):
    train(OVERHEAD, tmp_path / "run", root=told, workers=1)
    model = load(tmp_path / "run")
    preprocessing = model.card.preprocessing
    assert (preprocessing.ground_hw, preprocessing.ground_fit, model.card.query_turns) == ((32, 32), "overhead", 4)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (60, 240, 3), dtype=np.uint8), rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)]
    fill = tuple(round(255 * value) for value in preprocessing.mean)
    shown = list(zip(pictures, (360.0, 70.0), strict=True))
    found = model.describe_query(pictures, kind="ground")
    assert found.shape == (2, 12, model.dim)
    for turn in range(12):
        by_hand = [overhead(picture, 32, fill, fov, middle_deg=30.0 * turn) for picture, fov in shown]  # type: ignore[arg-type]
        np.testing.assert_allclose(found[:, turn], model.describe(by_hand, kind="query"), atol=1e-6)
    np.testing.assert_allclose(model.describe(pictures, kind="ground"), found[:, 0], atol=1e-6)
    rows = run_lab(model, told, only=[Condition("seen", "panorama", "seen", "g2s")])["rows"]
    assert rows[0]["queries"] == 3


def test_redrawn_panoramas_are_trained_on_alone_too(tmp_path: Path, told: Path):
    data = SetData("worlds-v1", "train", "g2s", (32, 128), 32, draw="place", ground_fit="overhead")
    for heading, turns in (("quarters", 1), ("free", 4)):
        augment = PanoramaAugment(heading=heading, fov_deg=(90.0, 360.0))  # type: ignore[arg-type]
        train(dataclasses.replace(OVERHEAD, data=data, ground=None, augment=augment), tmp_path / heading, root=told, workers=1)
        card = load(tmp_path / heading).card
        assert (card.preprocessing.ground_hw, card.query_turns) == ((32, 32), turns)


def test_panoramas_trained_on_alone_are_turned_together_and_a_little_apart(told: Path):
    """North is red: it stays where north is up on the satellite picture, or within 15 degrees of it where no heading is known."""
    data = SetData("worlds-v1", "train", "g2s", (32, 128), 32, draw="place", ground_fit="overhead")
    away = {}
    for heading in ("north", "quarters", "free"):
        augment = dataclasses.replace(STILL, heading=heading, mirror=0.0, turn=1.0)
        config = dataclasses.replace(OVERHEAD, data=data, ground=None, augment=augment)
        pictures = np.zeros((8, 32, 128, 3), np.uint8)
        pictures[:, :, 62:66, 0] = 255
        satellite = np.zeros((8, 32, 32, 3), np.uint8)
        satellite[:, :6, 14:18, 0] = 255
        batch = PairBatch(pictures, satellite, np.arange(8), ("",) * 8, None, None)
        seen = Prepare(config, 1.0, 32, torch.device("cpu"))(batch, 3, 0)
        angles = []
        for made in (seen.query_BCHW, seen.satellite_BCHW):
            red = (made[:, 0] - made[:, 0].amin((1, 2), keepdim=True)).double()
            at = (torch.arange(32) - 15.5).double()
            angles.append(torch.rad2deg(torch.atan2((red * at).sum((1, 2)), -(red * at[:, None]).sum((1, 2)))))
        away[heading] = ((angles[0] - angles[1] + 180) % 360 - 180).abs()
    assert away["north"].max() < 5
    assert away["quarters"].max() < 5
    assert 6 < away["free"].max() < 20


def test_panoramas_of_unknown_heading_cannot_be_redrawn(lab: Path):
    with pytest.raises(DataError, match=r"12 of 12 panoramas do not say where they look.*tell their headings"):
        opened(lab, OVERHEAD)


def test_training_is_told_north_and_validation_is_not(told: Path):
    source = opened(told, OVERHEAD)
    shown = {view.place: view for view in WorldsV1(told).task("train", "g2s").query}
    batch = source.read(np.arange(4), 0)
    assert batch.ground_GHWC is not None
    stored = {place: fit(view.read(), (32, 128), "overhead") for place, view in shown.items()}
    for picture, number in zip(batch.ground_GHWC, batch.place_J, strict=True):
        view = shown[source.places[number]]
        np.testing.assert_array_equal(picture, turned_panorama(stored[view.place], -(view.heading_deg or 0.0)))
    assert source.ground is not None
    held = source.ground.read("ground", np.arange(4))
    assert all(any(np.array_equal(picture, one) for one in stored.values()) for picture in held)


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
    views = GroundViews((32, 128), share=1.0, fit="whole", augment=STILL)
    config = dataclasses.replace(BOTH, data=bank.plan, ground=views, held_out=3, tokens_weight=1.0)
    results = train(config, tmp_path / "run", bank=bank, workers=1).results
    assert results["steps"] == 4
    source = BankSource(bank, 3, 0, views)
    batch = source.read(np.arange(5), 1)
    assert batch.ground_GHWC is not None
    assert batch.ground_row_G is not None
    assert batch.ground_row_G.tolist() == np.flatnonzero(bank.has_ground[batch.place_J]).tolist()
    for row, picture in zip(batch.ground_row_G, batch.ground_GHWC, strict=True):
        place = batch.place_J[row]
        both = zip(bank.ground[place], bank.truth[GROUND_HEADING][place], strict=True)  # type: ignore[index]
        assert any(np.array_equal(picture, turned_panorama(one, -float(heading))) for one, heading in both), "north in the middle"
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


def test_points_of_a_banks_panoramas_are_matched(bank: PairBank, tmp_path: Path):
    """Pictures and all else are those of a bank without; the term is added with the weight of the drones' one."""
    plan = dataclasses.replace(bank.plan, sighted=40)
    other = make_pair_bank(tmp_path / "bank", plan, workers=1)
    np.testing.assert_array_equal(other.ground, bank.ground)
    np.testing.assert_array_equal(other.truth[GROUND_HEADING], bank.truth[GROUND_HEADING])
    assert np.isfinite(other.truth[GROUND_POINTS][other.has_ground]).all()
    assert np.isnan(other.truth[GROUND_POINTS][~other.has_ground]).all()
    views = GroundViews((32, 128), share=1.0, augment=STILL)
    arch = dataclasses.replace(BOTH.arch, squares=False)
    config = dataclasses.replace(BOTH, arch=arch, data=plan, ground=views, held_out=3, tokens_weight=2.0, steps=1)
    first = []
    for some in (bank, other):
        chosen = dataclasses.replace(config, data=some.plan)
        train(chosen, tmp_path / f"run-{some.plan.sighted}", bank=some, workers=1)
        first.append(json.loads((tmp_path / f"run-{some.plan.sighted}/log.jsonl").read_text().splitlines()[0])["loss"])
    batch = BankSource(other, 3, 0, views).read(np.arange(5), 0)
    prepared = Prepare(config, SATELLITE_MARGIN, 1, torch.device("cpu"))(batch, 0, 0)
    assert prepared.ground_points is not None
    assert prepared.ground_points.seen_BT.any()
    assert first[1] - first[0] > 1.0, "so many tokens are not told apart by chance"
    plain = dataclasses.replace(config, tokens_weight=0.0)
    assert Prepare(plain, SATELLITE_MARGIN, 1, torch.device("cpu"))(batch, 0, 0).ground_points is None
