"""Trials: intervals over seeds and places, and variants trained, examined and compared."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.data.lab_tree import write_lab

from crossfix.disk import write_json
from crossfix.errors import DataError, InputError
from crossfix.evaluate.trials import GROUPS, Trial, estimate, run_trials
from crossfix.evaluate.trials_plot import differences_svg
from crossfix.models.gengeo import ArchConfig, GemConfig, MeanConfig
from crossfix.train.config import SetData, TrainConfig
from crossfix.train.geolink import GeoLinkTraining
from lab_clouds import write_lab_with_clouds


def test_an_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        hard_P = rng.normal(0, 0.3, 150)
        value_SP = 0.5 + rng.normal(0, 0.04, (5, 1)) + hard_P + rng.normal(0, 0.2, (5, 150))
        found = estimate(value_SP, seed=trial, draws=1000)
        covered += found.low <= 0.5 <= found.high
    assert 0.86 <= covered / 200 <= 0.985, "five seeds are few: percentiles of five means are a little too narrow"


def test_seeds_that_disagree_widen_the_interval():
    calm = np.full((3, 50), 0.5)
    wild = calm + np.array([[-0.1], [0.0], [0.1]])
    assert estimate(calm).high == pytest.approx(0.5)
    assert estimate(wild).high > 0.55
    assert estimate(wild).value == pytest.approx(0.5)


def test_one_seed_has_the_interval_of_its_places():
    value = np.random.default_rng(0).random((1, 400))
    found = estimate(value)
    half = 1.96 * value.std() / np.sqrt(400)
    assert found.high - found.value == pytest.approx(half, rel=0.1)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lab(tmp_path_factory.mktemp("lab"), trained=12)


def _trial(name: str, head) -> Trial:
    arch = ArchConfig("resnet10t", 32, head, stride=8)
    data = SetData("worlds-v1", "train", "d2s", (32, 32), 32, draw="place")
    config = TrainConfig("tiny", arch, data, steps=2, batch=4, held_out=4, validate_every=2, checkpoint_every=2, precision="32-true")
    return Trial(name, f"the {name} head", config)


def test_variants_are_trained_examined_and_compared(lab: Path, tmp_path: Path):
    trials = [_trial("gem", GemConfig()), _trial("mean", MeanConfig())]
    asked = {"seeds": 2, "groups": ("seen", "unseen")}
    first = run_trials(trials, lab, tmp_path, **asked)
    assert [(run["trial"], run["seed"]) for run in first["runs"]] == [("gem", 0), ("mean", 0), ("gem", 1), ("mean", 1)]
    assert set(first["table"]) == {"gem", "mean"}
    assert set(first["differences"]) == {"mean"}
    for group in asked["groups"]:
        gap = first["table"]["mean"][group]["value"] - first["table"]["gem"][group]["value"]
        assert first["differences"]["mean"][group]["value"] == pytest.approx(gap)
    examined = json.loads((tmp_path / "gem-0/lab/results.json").read_text())
    (row,) = [row for row in examined["rows"] if row["part"] == "seen"]
    own = [json.loads((tmp_path / f"gem-{seed}/lab/results.json").read_text())["rows"][0]["strict"]["R@1"] for seed in range(2)]
    assert first["table"]["gem"]["seen"]["value"] == pytest.approx(np.mean(own))
    assert {one["part"] for one in examined["rows"]} == {"seen", "near", "middle", "far"}
    assert row["queries"] == 12
    assert first["shares"] == {"gem": {}, "mean": {}}, "no oracles were trained"
    before = (tmp_path / "mean-1/model.safetensors").stat().st_mtime_ns
    assert run_trials(trials, lab, tmp_path, **asked) == first, "what is done is not done again"
    assert (tmp_path / "mean-1/model.safetensors").stat().st_mtime_ns == before


def test_transfer_is_told_as_a_share_of_the_oracles(lab: Path, tmp_path: Path):
    oracles = {"seen": {"seen": {"value": 0.5}}, "near": {"seen": {"value": 0.1}, "near": {"value": 0.25}}, "far": {"far": {"value": 0.0}}}
    write_json(lab / "oracles/results.json", {"table": oracles})
    try:
        found = run_trials([_trial("gem", GemConfig())], lab, tmp_path, seeds=1, groups=("seen", "near", "far", "unseen"))
    finally:
        shutil.rmtree(lab / "oracles")
    value = {group: cell["value"] for group, cell in found["table"]["gem"].items()}
    assert found["shares"] == {"gem": {"seen": value["seen"] / 0.5, "near": value["near"] / 0.25}}


def test_differences_are_drawn_where_they_are():
    def cell(value: float, half: float) -> dict:
        return {"value": value, "interval95": [value - half, value + half], "excludes0": abs(value) > half}

    groups = ["seen", "unseen & far"]
    differences = {
        "wide <b>": dict(zip(groups, (cell(0.04, 0.01), cell(-0.03, 0.01)), strict=True)),
        "even": dict.fromkeys(groups, cell(0.0, 0.02)),
    }
    table = {"first": dict.fromkeys(groups, cell(0.5, 0.05))}
    root = ElementTree.fromstring(differences_svg({"trials": ["first"], "groups": groups, "table": table, "differences": differences}))
    name = "{http://www.w3.org/2000/svg}"
    marks = [(one.get("class"), float(one.find(f"{name}circle").get("cx"))) for one in root.iter(f"{name}g")]  # type: ignore[union-attr, arg-type]
    assert [kind for kind, _ in marks] == ["better", "", "worse", ""]
    zero = [float(one.get("d").split(" ")[0][1:]) for one in root.iter(f"{name}path") if one.get("class") == "zero"]  # type: ignore[union-attr]
    assert [marks[1][1], marks[3][1]] == zero
    assert (marks[0][1] - zero[0]) / (zero[1] - marks[2][1]) == pytest.approx(4 / 3, abs=0.01), "one scale"
    assert any(one.text == "wide <b>" for one in root.iter(f"{name}text"))


def test_names_are_told_apart(lab: Path, tmp_path: Path):
    with pytest.raises(InputError, match="names of their own"):
        run_trials([_trial("gem", GemConfig())] * 2, lab, tmp_path)


def test_variants_share_the_points_sampled_of_their_clouds(tmp_path: Path):
    lab = write_lab_with_clouds(tmp_path / "lab")
    plain, chosen = _trial("plain", GemConfig(576)), GeoLinkTraining()
    linked = [
        dataclasses.replace(plain, name=kind, config=dataclasses.replace(plain.config, geolink=dataclasses.replace(chosen, clouds=kind)))
        for kind in ("right", "wrong")
    ]
    found = run_trials([plain, *linked], lab, tmp_path / "out", seeds=1, groups=("seen",))
    assert set(found["differences"]) == {"right", "wrong"}
    assert len(list((tmp_path / "out").glob("clouds-*.safetensors"))) == 1
    assert len(list((tmp_path / "out").glob("*/clouds-*"))) == 0


def test_missing_clouds_are_told_of_before_anything_is_trained(lab: Path, tmp_path: Path):
    plain = _trial("plain", GemConfig())
    linked = dataclasses.replace(plain, name="linked", config=dataclasses.replace(plain.config, geolink=GeoLinkTraining()))
    with pytest.raises(DataError, match="there is no folder of clouds; build them with: crossfix clouds build"):
        run_trials([plain, linked], lab, tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_group_has_conditions():
    from crossfix.evaluate.lab import conditions

    for name, chosen in GROUPS.items():
        assert any(chosen(one) for one in conditions()), name


def test_several_trainings_at_a_time_give_what_one_after_the_other_does(lab: Path, tmp_path: Path):
    trials = [_trial("gem", GemConfig()), _trial("mean", MeanConfig())]
    told: list[tuple[str, int, int]] = []

    def progress(stage: str):
        return lambda done, total: told.append((stage, done, total))

    alone = run_trials(trials, lab, tmp_path / "alone", seeds=1, groups=("seen",))
    both = run_trials(trials, lab, tmp_path / "both", seeds=1, groups=("seen",), jobs=2, progress=progress)
    assert [(run["trial"], run["seed"], run["steps"]) for run in both["runs"]] == [("gem", 0, 2), ("mean", 0, 2)]
    assert set(both["table"]) == set(alone["table"])
    assert ("trainings", 2, 2) in told
    assert run_trials(trials, lab, tmp_path / "both", seeds=1, groups=("seen",)) == both, "what is done is not done again"


def test_a_training_that_fails_among_several_is_one_error(lab: Path, tmp_path: Path):
    bad = _trial("bad", GemConfig())
    bad = dataclasses.replace(bad, config=dataclasses.replace(bad.config, batch=64))
    with pytest.raises(InputError, match="cannot fill a batch of 64"):
        run_trials([bad, _trial("gem", GemConfig())], lab, tmp_path, seeds=1, groups=("seen",), jobs=2)
