"""GeoLink under the training loop: clouds that follow the pictures, runs that go on, models without 3D."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import affine_grid

from crossfix.cli import main
from crossfix.clouds.degrade import Dials
from crossfix.clouds.files import NOTE
from crossfix.errors import DataError, InputError, RunError
from crossfix.losses.geolink import TermsConfig
from crossfix.models.folder import load_model
from crossfix.models.gengeo import ArchConfig, GemConfig, build
from crossfix.models.point_branch import PointConfig
from crossfix.models.point_input import turn_clouds
from crossfix.train.augment import AugmentConfig, WarpConfig, cut, draw_warp
from crossfix.train.config import OptimConfig, SetData, TrainConfig
from crossfix.train.geolink import GeoLinkTraining
from crossfix.train.linked import build_linked, check_alone, mirrored, turns_of
from crossfix.train.loop import train
from crossfix.train.sightings import heights_under
from lab_clouds import town, write_lab_with_clouds, write_town

POINTS = PointConfig(points=64, centres=(16, 8), growth=(2, 2), blocks=(0, 1), neighbours=4)
LINK = GeoLinkTraining(points=POINTS)
TINY = TrainConfig(
    recipe="tiny",
    arch=ArchConfig("test_resnet", 48, GemConfig(16), stride=8),
    data=SetData("worlds-v1", "train", "d2s", (48, 48), 48, draw="place"),
    steps=6,
    batch=4,
    held_out=4,
    optim=OptimConfig(learning_rate=2e-3, warmup_steps=2),
    augment=AugmentConfig(satellite=WarpConfig(rotate_deg=180.0)),
    ema=0.9,
    precision="32-true",
    validate_every=6,
    checkpoint_every=2,
    log_every=1,
    geolink=LINK,
)
PAPER = {"cross", "intra", "points", "relation", "mi", "fit", "clouds", "spread"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lab_with_clouds(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, lab: Path) -> Path:
    run = tmp_path_factory.mktemp("runs") / "finished"
    train(TINY, run, root=lab, workers=1)
    return run


def linked(**changes: object) -> TrainConfig:
    return dataclasses.replace(TINY, geolink=dataclasses.replace(LINK, **changes))  # type: ignore[arg-type]


def records(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def steps(run: Path) -> list[dict]:
    timed = ("seconds", "images_per_s", "data_share")
    return [{name: value for name, value in one.items() if name not in timed} for one in records(run) if "loss" in one]


def digest(run: Path) -> str:
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


# Clouds and pictures


@pytest.mark.parametrize("mirror", [False, True])
def test_clouds_are_turned_as_the_satellite_picture_is(mirror: bool):
    """A white dot painted where a cloud's point lies is found in the warped picture where the turned point says."""
    generator = torch.Generator().manual_seed(4)
    warp_P23 = draw_warp(12, WarpConfig(rotate_deg=180.0), generator)
    warp_P23[:, :, 0] *= -1.0 if mirror else 1.0
    point = torch.tensor([[[0.5, 0.25, 0.1]]]).repeat(12, 1, 1)  # east, north, up
    picture = torch.zeros(12, 65, 65, 3, dtype=torch.uint8)
    picture[:, round(32 - 0.25 * 32.5), round(32 + 0.5 * 32.5)] = 255
    seen = cut(picture, warp_P23, 65)[:, 0].flatten(1).argmax(1)
    turn_P, mirror_P = turns_of(warp_P23)
    assert mirror_P.tolist() == [mirror] * 12
    moved = turn_clouds(mirrored(point, mirror_P), turn_P)[:, 0]
    assert (moved[:, 0] - (seen % 65 - 32) / 32.5).abs().max() < 0.05
    assert (moved[:, 1] - (32 - seen // 65) / 32.5).abs().max() < 0.05
    assert moved[:, 2].tolist() == pytest.approx([0.1] * 12)


def test_heights_under_tokens_are_those_of_the_points_there():
    generator = torch.Generator().manual_seed(1)
    warp_P23 = draw_warp(3, WarpConfig(rotate_deg=180.0, shift=0.2, side=(0.7, 1.2)), generator)
    warp_P23[1, :, 0] *= -1
    xyz = torch.rand(3, 400, 3, generator=generator) * torch.tensor([200.0, 200.0, 30.0]) - torch.tensor([100.0, 100.0, 0.0])
    xyz[2] = torch.nan
    height, seen = heights_under(xyz, warp_P23, 180.0, (4, 5))
    assert not seen[2].any()
    for cloud in range(2):
        # For every stored position of a fine grid of the picture, its token: points take the token of the nearest of them.
        fine = affine_grid(warp_P23[cloud : cloud + 1], [1, 1, 80, 100], align_corners=False).reshape(-1, 2)
        stored = xyz[cloud, :, :2] * torch.tensor([1 / 90, -1 / 90])
        gap, nearest = torch.cdist(stored, fine).min(1)
        token = nearest // 100 // 20 * 5 + nearest % 100 // 20
        inside = gap < 0.03
        for one in range(20):
            own = xyz[cloud, inside & (token == one), 2]
            if len(own) > 3:
                assert seen[cloud, one]
                assert float(height[cloud, one]) == pytest.approx(float(own.mean()), abs=2.5)
    assert seen[:2].float().mean() > 0.5


def test_the_2d_network_begins_as_it_would_alone():
    torch.manual_seed(1)
    alone = build(TINY.arch).state_dict()
    torch.manual_seed(1)
    made = build_linked(TINY, LINK).model.state_dict()
    assert alone.keys() == made.keys()
    assert all(torch.equal(made[name], tensor) for name, tensor in alone.items())


# Runs


def test_every_term_is_logged_by_name_and_the_loss_is_their_weighted_sum(finished: Path):
    logged = steps(finished)
    assert [one["step"] for one in logged] == list(range(1, 7))
    for one in logged:
        terms = one["terms"]
        assert set(terms) == PAPER
        assert all(math.isfinite(value) for value in terms.values())
        assert terms["clouds"] == 4
        total = terms["cross"] + terms["points"] + 4 * terms["intra"] + 0.1 * terms["mi"] + terms["relation"]
        assert one["loss"] == pytest.approx(total, abs=1e-3)
    results = json.loads((finished / "results.json").read_text())
    assert results["clouds"]["places_with_cloud"] == results["clouds"]["places"] == 12
    assert "clouds of 8 of these places" in load_model(finished)[1].training_data


def test_the_network_of_the_bound_is_fitted_in_alternation(tmp_path: Path, lab: Path):
    config = dataclasses.replace(linked(q_rate=0.01), steps=40, checkpoint_every=40, validate_every=40)
    train(config, tmp_path / "run", root=lab, workers=1)
    fits = [one["terms"]["fit"] for one in steps(tmp_path / "run")]
    assert sum(fits[-5:]) / 5 < sum(fits[:5]) / 5 - 0.1
    slow = dataclasses.replace(linked(q_rate=0.0), steps=1)
    train(slow, tmp_path / "still", root=lab, workers=1)
    kept = load_file(next((tmp_path / "still").glob("checkpoint-*.safetensors")))
    last = [tensor for name, tensor in kept.items() if name.startswith("module/link.terms.club.mean.2")]
    assert last
    assert not any(tensor.any() for tensor in last), "no other optimiser touches it"


def test_what_is_saved_and_exported_is_the_2d_network_alone(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    plain = build(TINY.arch)
    names = {name: tensor.shape for name, tensor in plain.state_dict().items()}
    assert {name: tensor.shape for name, tensor in load_file(finished / "model.safetensors").items()} == names
    results = json.loads((finished / "results.json").read_text())
    assert results["parameters"] == sum(parameter.numel() for parameter in plain.parameters())
    assert main(["model", "export", str(finished), "-o", str(tmp_path / "model"), "--dtype", "float32"]) == 0
    capsys.readouterr()
    assert {name: tensor.shape for name, tensor in load_file(tmp_path / "model/model.safetensors").items()} == names
    best = load_file(next(finished.glob("checkpoint-*.safetensors")))
    plain.load_state_dict({name.removeprefix("best/"): tensor for name, tensor in best.items() if name.startswith("best/")})
    img = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    assert torch.equal(load_model(tmp_path / "model")[0](img), plain.eval()(img))


@pytest.mark.parametrize("teacher", ["joint", "frozen"])
def test_killed_and_started_again_the_same_weights_bit_for_bit(teacher: str, tmp_path: Path, lab: Path):
    config = linked() if teacher == "joint" else linked(teacher="frozen", teacher_steps=3)
    train(config, tmp_path / "whole", root=lab, workers=1)
    stopped: set[int] = set()

    def stop(record: dict) -> None:
        if record["step"] in (1, 3) and record["step"] not in stopped:
            stopped.add(record["step"])
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "parts", root=lab, workers=2, log=stop)
    train(config, tmp_path / "parts", root=lab, workers=2, log=stop)
    assert steps(tmp_path / "parts") == steps(tmp_path / "whole")
    assert sum("teacher" in one for one in records(tmp_path / "parts")) == (teacher == "frozen"), "of the run begun anew, once"
    assert digest(tmp_path / "parts") == digest(tmp_path / "whole")
    kept = [load_file(next((tmp_path / run).glob("checkpoint-*.safetensors"))) for run in ("parts", "whole")]
    assert kept[0].keys() == kept[1].keys()
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])
    assert any(name.startswith("q/") for name in kept[0])
    assert any(name.startswith("module/link.points") for name in kept[0])


def test_a_frozen_teacher_learns_first_and_stays_then(tmp_path: Path, lab: Path):
    train(linked(teacher="frozen", teacher_steps=30), tmp_path / "run", root=lab, workers=1)
    (told,) = [one["teacher"] for one in records(tmp_path / "run") if "teacher" in one]
    assert told["steps"] == 30
    assert told["loss"][1] < told["loss"][0] - 0.2
    assert 0 <= told["recall"] <= 1
    assert told["places"] == 4, "it is examined on the places held out"
    kept = [load_file(path) for path in (tmp_path / "run").glob("checkpoint-*.safetensors")]
    train(dataclasses.replace(linked(teacher="frozen", teacher_steps=30), steps=1), tmp_path / "short", root=lab, workers=1)
    kept += [load_file(path) for path in (tmp_path / "short").glob("checkpoint-*.safetensors")]
    points = [name for name in kept[0] if name.startswith("module/link.points")]
    assert points
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in points)


def test_wrong_clouds_change_the_3d_terms_and_not_the_pictures(finished: Path, tmp_path: Path, lab: Path):
    train(linked(clouds="wrong"), tmp_path / "wrong", root=lab, workers=1)
    first, other = steps(finished)[0]["terms"], steps(tmp_path / "wrong")[0]["terms"]
    assert other["cross"] == first["cross"]
    assert other["points"] != first["points"]
    assert "clouds of other places of 8" in load_model(tmp_path / "wrong")[1].training_data


def test_without_clouds_the_terms_that_need_none_train(finished: Path, tmp_path: Path, lab: Path):
    bare = tmp_path / "bare"
    shutil.copytree(lab, bare, ignore=shutil.ignore_patterns("clouds"))
    train(linked(clouds="none"), tmp_path / "run", root=bare, workers=1)
    logged = steps(tmp_path / "run")
    assert set(logged[0]["terms"]) == {"cross", "intra", "clouds"}
    assert logged[0]["terms"]["cross"] == steps(finished)[0]["terms"]["cross"]
    assert "clouds" not in json.loads((tmp_path / "run/results.json").read_text())


def test_heights_are_told_where_they_are_asked_for(tmp_path: Path, lab: Path):
    terms = TermsConfig(points=0.0, intra=0.0, mi=0.0, relation=0.0, heights=1.0)
    config = dataclasses.replace(linked(terms=terms, satellite_side_m=180.0, sampling="random", radius_m=130.0), steps=1)
    train(config, tmp_path / "run", root=lab, workers=1)
    assert steps(tmp_path / "run")[0]["terms"]["heights"] > 0.01


def test_the_group_and_what_spoils_clouds_decide(tmp_path: Path, lab: Path):
    points = []
    for number, change in enumerate(({"group": 0}, {"group": 1}, {"group": 0, "spoil": Dials(noise=5.0)})):
        train(dataclasses.replace(linked(**change), steps=1), tmp_path / str(number), root=lab, workers=1)
        points.append(steps(tmp_path / str(number))[0]["terms"]["points"])
    assert len(set(points)) == 3


def test_a_batch_of_places_without_clouds_trains_in_2d(lab: Path, tmp_path: Path):
    """Two of eight training places have clouds: batches of four hold none, one or two of them."""
    folder = tmp_path / "few"
    training = sorted((f"train-{number + 1:05d}" for number in range(12)), key=lambda place: hashlib.blake2b(place.encode()).digest())[4:]
    for place in training[:2]:
        shutil.copytree(lab / f"clouds/train/{place}_group0", folder / f"{place}_group0")
    terms = TermsConfig(heights=1.0)
    config = dataclasses.replace(linked(terms=terms, satellite_side_m=180.0), steps=16, checkpoint_every=16, validate_every=16)
    train(config, tmp_path / "run", root=lab, clouds=folder, workers=1)
    seen = {one["terms"]["clouds"]: set(one["terms"]) for one in steps(tmp_path / "run")}
    assert set(seen) >= {0.0, 2.0}
    assert seen[0.0] == {"cross", "intra", "heights", "clouds"}
    assert seen[2.0] == PAPER | {"heights"}


@pytest.fixture
def gaps(lab: Path, tmp_path: Path) -> Path:
    """Clouds of all places but three of those trained on; one of the three has clouds of too few points."""
    config = TINY
    folder = tmp_path / "gaps"
    shutil.copytree(lab / "clouds/train", folder)
    held = {f"train-{number + 1:05d}" for number in range(12)}
    training = sorted(held, key=lambda place: hashlib.blake2b(place.encode()).digest())[config.held_out :]
    for place in training[:3]:
        for group in range(2):
            shutil.rmtree(folder / f"{place}_group{group}")
    for group in range(2):
        write_town(folder, training[0], group, town(0, group, 50))
    return folder


def test_places_without_clouds_train_in_2d_or_are_left_out_and_are_counted(gaps: Path, lab: Path, tmp_path: Path):
    results = train(linked(), tmp_path / "2d", root=lab, clouds=gaps, workers=1).results
    assert (results["clouds"]["places_without_cloud"], results["clouds"]["unusable"]) == (3, 2)
    assert results["training_places"] == 8
    assert sum(one["terms"]["clouds"] for one in steps(tmp_path / "2d")) == 3 * 5, "of five places in each of three epochs"
    results = train(linked(without="leave out"), tmp_path / "out", root=lab, clouds=gaps, workers=1).results
    assert results["training_places"] == 5
    assert {one["terms"]["clouds"] for one in steps(tmp_path / "out")} == {4.0}
    assert results["validation"]["places"] == 4


def test_clouds_are_sampled_once_and_other_clouds_are_refused(finished: Path, gaps: Path, lab: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (kept,) = run.glob("clouds-*.safetensors")
    before = kept.stat().st_mtime_ns
    train(TINY, run, root=lab, workers=1)
    assert kept.stat().st_mtime_ns == before
    with pytest.raises(RunError, match=r"another geolink\.fingerprint"):
        train(TINY, run, root=lab, clouds=gaps, workers=1)
    with pytest.raises(RunError, match=r'another geolink\.clouds: "right" there, "wrong" now'):
        train(linked(clouds="wrong"), run, root=lab, workers=1)
    assert list(run.glob("clouds-*.safetensors")) == [kept]


def test_what_cannot_be_trained_is_one_sentence(lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(DataError, match="there is no folder of clouds; build them with: crossfix clouds build"):
        train(TINY, tmp_path / "run", root=lab, clouds=tmp_path / "nowhere", workers=1)
    with pytest.raises(InputError, match="this recipe trains on pictures alone; leave --clouds out"):
        train(dataclasses.replace(TINY, geolink=None), tmp_path / "run", root=lab, clouds=lab / "clouds/train")
    with pytest.raises(DataError, match="0 training places have two clouds"):
        train(linked(teacher="frozen", teacher_steps=2, group=0), tmp_path / "teacher", root=lab, workers=1)
    shutil.copytree(lab / "clouds/train", tmp_path / "free")
    for note in (tmp_path / "free").glob(f"*/{NOTE}"):
        note.unlink()
    for change in ({"terms": TermsConfig(heights=1.0), "satellite_side_m": 180.0}, {"clouds": "flat"}):
        with pytest.raises(DataError, match=r"no cloud is in metres about its place, as (heights|flat clouds) want them"):
            train(linked(**change), tmp_path / "metres", root=lab, clouds=tmp_path / "free", workers=1)
    unequal = dataclasses.replace(POINTS, experts=0)
    with pytest.raises(InputError, match="give the 3D branch experts"):
        train(linked(points=unequal), tmp_path / "unequal", root=lab, workers=1)
    assert not (tmp_path / "run").exists()


def test_several_processes_are_refused():
    check_alone(1, "3D")
    with pytest.raises(InputError, match="runs in one process, not in 2; start it without torchrun"):
        check_alone(2, "3D")


def test_accumulated_terms_are_means(tmp_path: Path, lab: Path):
    config = dataclasses.replace(linked(), steps=1, accumulate=2)
    train(config, tmp_path / "run", root=lab, workers=1)
    (one,) = steps(tmp_path / "run")
    assert one["terms"]["clouds"] == 4
    assert np.isfinite(one["loss"])
