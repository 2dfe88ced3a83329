"""`crossfix lab` and `crossfix matrix`, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.data.lab_tree import write_lab

from crossfix.cli.app import main
from crossfix.evaluate.lab import conditions
from crossfix.worlds.sets import worldsv1


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lab(tmp_path_factory.mktemp("lab"))


def test_a_run_measures_beside_the_baselines(lab: Path, capfd: pytest.CaptureFixture[str]):
    asked = ["lab", "run", "--root", str(lab), "--model", "gengeo-tiny", "--json"]
    assert main(asked) == 0
    found = json.loads(capfd.readouterr().out)
    assert [one["model"]["name"] for one in found] == ["gengeo-tiny", "colour-histogram", "rotated-hog"]
    assert all(len(one["rows"]) == len(conditions()) for one in found)
    assert len(list((lab / "results").glob("*/results.json"))) == 3
    assert main(asked[:-1]) == 0
    shown = capfd.readouterr()
    assert "unseen" in shown.out
    assert "rotated-hog" in shown.out


def test_a_baseline_is_not_measured_twice(lab: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["lab", "run", "--root", str(lab), "--model", "rotated-hog", "--json"]) == 0
    assert [one["model"]["name"] for one in json.loads(capfd.readouterr().out)] == ["rotated-hog", "colour-histogram"]


@pytest.mark.parametrize("words", [["lab", "run", "--root", "nowhere"], ["lab", "run", "--root", ".", "--imagenet", "none.safetensors"]])
def test_a_wrong_folder_is_one_sentence(
    words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    told = capfd.readouterr().err
    assert told.startswith("crossfix:")
    assert "Traceback" not in told


def test_a_wrong_model_is_told_before_the_right_ones_are_measured(lab: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    words = ["lab", "run", "--root", str(lab), "--model", "rotated-hog", "--model", "nothing", "-o", str(tmp_path / "out")]
    assert main(words) == 2
    assert "nothing: no model" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_matrix_of_two_parts(lab: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    asked = ["matrix", "--model", "colour-histogram", "--model", "rotated-hog", "--split", "seen-80m", "--split", "far-80m"]
    asked += ["--data", f"worlds-v1:{lab}", "--data", f"worlds-v1:{lab}", "-o", str(tmp_path / "out")]
    assert main([*asked, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["columns"] == ["worlds-v1 seen-80m", "worlds-v1 far-80m"]
    assert told["paired"]
    assert main([*asked, "--metric", "AP"]) == 0
    assert "AP, strict" in capfd.readouterr().out
    assert main([*asked, "--metric", "F1"]) == 2


def test_splits_fit_the_data_sets(lab: Path, capfd: pytest.CaptureFixture[str]):
    words = ["matrix", "--model", "rotated-hog", "--data", f"worlds-v1:{lab}", "--split", "seen", "--split", "far"]
    assert main(words) == 2
    assert "2 splits for 1 data sets" in capfd.readouterr().err


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("same", [True, False])
def test_bytes_are_compared_with_the_published_ones(
    small: bool, same: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    write_lab(tmp_path, trained=1)
    monkeypatch.setattr("crossfix.worlds.sets.plan.write_set", lambda writer, progress: None)  # what it would render takes an hour
    if same:
        monkeypatch.setitem(worldsv1.DIGESTS, "small" if small else "full", worldsv1.digest(tmp_path))
    words = ["lab", "make", str(tmp_path), *(["--small"] if small else [])]
    assert main([*words, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["same_bytes"] is same
    assert main(words) == 0
    assert ("differ" in capfd.readouterr().out) is not same


def test_variants_are_compared_with_the_first_that_is_asked_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []

    def run_trials(trials, *_, **__):
        asked.extend(trial.name for trial in trials)
        return {"differences": {}, "shares": {}}

    monkeypatch.setattr("crossfix.evaluate.trials.run_trials", run_trials)  # training takes minutes
    words = ["lab", "reproduce", "gengeo", "--root", str(tmp_path), "-o", str(tmp_path / "out"), "--json"]
    assert main([*words, "--only", "sample4geo", "--only", "gengeo"]) == 0
    assert asked == ["sample4geo", "gengeo"]
    assert main([*words, "--only", "nothing"]) == 2
    assert "no such variant" in capfd.readouterr().err
