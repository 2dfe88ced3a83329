from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossfix.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for place in range(5):
        colour = generator.integers(0, 256, (2, 2, 3), dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)
        for half in ("query", "gallery"):
            path = tmp_path / "data" / half / str(place) / "a.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(colour).save(path)
    return tmp_path / "data"


def test_json_alone_on_stdout(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert main(["evaluate", "--model", "colour-histogram", "--data", str(folder), "--json", "-o", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["metrics"]["R@1"]["value"] == 1.0
    assert (tmp_path / "out/results.json").is_file()
    assert "Describing" in captured.err


def test_a_table_for_people(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", "--model", "rotated-hog", "--data", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "R@1%" in out
    assert "5 queries of 5 places" in out


def test_a_folder_without_images_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", "--model", "colour-histogram", "--data", str(tmp_path / "none")]) == 2
    captured = capsys.readouterr()
    assert "there is no such folder" in captured.err
    assert captured.out == ""


def test_a_written_set_is_measured_on_both_sides(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    root = tmp_path / "set"
    assert (
        main(["world", "write", "denseuav", str(root), "--places", "3", "--region", "farmland", "--scale", "0.06", "--split", "test"]) == 0
    )
    assert main(["data", "check", "denseuav", str(root), "--json"]) == 2  # the training half is missing
    assert {finding["where"] for finding in json.loads(capsys.readouterr().out.partition("\n")[2])["findings"]} >= {"train/drone"}
    data = f"denseuav:{root}"
    assert main(["evaluate", "--model", "colour-histogram", "--data", data, "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert {"R@1", "AP", "SDM@1", "MA@20"} <= results["paper"].keys()
    assert (results["queries"], results["gallery"], results["split"], results["direction"]) == (9, 18, "test", "d2s")
    assert main(["evaluate", "--model", "colour-histogram", "--data", data, "--direction", "s2d", "--protocol", "strict"]) == 0
    shown = capsys.readouterr().out
    assert "strict" in shown
    assert "paper" not in shown
    for wrong in (["--protocol", "mine"], ["--split", "train"], ["--direction", "g2s"]):
        assert main(["evaluate", "--model", "colour-histogram", "--data", data, *wrong]) == 2
    for wrong in (["--split", "test"], ["--protocol", "paper"], ["--compare", "--protocol", "strict"]):
        assert main(["evaluate", "--model", "colour-histogram", "--data", str(root), *wrong]) == 2


def test_data_sets_are_listed_with_their_cards(capsys: pytest.CaptureFixture[str]):
    assert main(["data", "list", "--json"]) == 0
    names = [row["name"] for row in json.loads(capsys.readouterr().out)]
    assert {"cvusa", "vigor", "university1652", "folder"} <= set(names)
    for name in names:
        assert main(["data", "card", name]) == 0
        assert len(capsys.readouterr().out.splitlines()) > 5
    assert main(["data", "card", "imagenet"]) == 2


def test_stress_is_shown_beside_what_is_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    root = tmp_path / "set"
    assert (
        main(["world", "write", "denseuav", str(root), "--places", "2", "--region", "farmland", "--scale", "0.06", "--split", "test"]) == 0
    )
    words = ["evaluate", "--model", "colour-histogram", "--data", f"denseuav:{root}"]
    assert main([*words, "--stress", "weather-dark, shift"]) == 0
    shown = capsys.readouterr().out
    assert "under stress" in shown
    assert shown.count("weather-dark") == 5
    assert "R@1, paper" in shown
    assert main([*words, "--stress", "weather-dark", "--protocol", "strict"]) == 0
    assert "R@1, paper" not in capsys.readouterr().out
    assert main([*words, "--stress", "weather-dark", "--protocol", "university1652-sample4geo"]) == 0
    shown = capsys.readouterr().out
    assert "paper: Sample4Geo's evaluation of University-1652" in shown
    assert "R@1, paper" in shown
    for wrong in ("earthquake", "shift,", ""):
        assert main([*words, "--stress", wrong]) == 2
        assert "there is no such stress" in capsys.readouterr().err


def test_a_folder_with_a_table_needs_no_name(folder: Path, capsys: pytest.CaptureFixture[str]):
    lines = ["file,role,lat,lon"]
    for place in range(5):
        lines += [f"{half}/{place}/a.png,{half},46.0,{7 + place / 100}" for half in ("query", "gallery")]
    (folder / "images.csv").write_text("\n".join(lines))
    assert main(["evaluate", "--model", "colour-histogram", "--data", str(folder), "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert (results["dataset"], results["strict"]["R@1"], results["strict"]["Dis@1"]) == ("folder", 1.0, 0.0)


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny set and the reports of two baselines on it."""
    root = tmp_path_factory.mktemp("reports")
    words = ["world", "write", "denseuav", str(root / "set"), "--places", "2", "--region", "farmland", "--scale", "0.06", "--split", "test"]
    assert main(words) == 0
    for model in ("colour-histogram", "rotated-hog"):
        words = ["evaluate", "--model", model, "--data", f"denseuav:{root / 'set'}", "--stress", "shift", "--report", str(root / model)]
        assert main(words) == 0
    return root


def test_a_report_stands_beside_its_results(reported: Path, capsys: pytest.CaptureFixture[str]):
    files = {"report.html", "results.json", "queries.npz", "config.json", "environment.json"}
    assert {path.name for path in (reported / "rotated-hog").iterdir()} == files
    results = json.loads((reported / "rotated-hog/results.json").read_text())
    assert {"data_sha256", "environment", "model", "seed", "protocol", "files", "stress", "queries", "gallery"} <= results.keys()
    words = ["evaluate", "--model", "rotated-hog", "--data", f"denseuav:{reported / 'set'}", "--seed", "3", "--report"]
    assert main([*words, str(reported / "rotated-hog")]) == 2
    assert "the folder holds a run with another seed" in capsys.readouterr().err


def test_results_are_compared_alone(reported: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    files = [str(reported / "rotated-hog/results.json"), str(reported / "colour-histogram")]
    assert main(["evaluate", "--compare", *files, "--report", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert "query by query" in captured.out
    assert "compare.html" in captured.out
    assert "Resampling" in captured.err
    assert [path.name for path in tmp_path.iterdir()] == ["compare.html"]
    assert main(["evaluate", "--compare", *files, "--json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert [row["label"] for row in compared["results"]] == ["rotated-hog", "colour-histogram"]
    assert set(compared["pairs"][0]["differences"]["R@1"]) == {"difference", "interval95", "excludes0"}


def test_a_new_result_is_compared_with_old_ones(reported: Path, capsys: pytest.CaptureFixture[str]):
    words = ["evaluate", "--model", "rotated-hog", "--data", f"denseuav:{reported / 'set'}", "--json"]
    assert main([*words, "--compare", str(reported / "rotated-hog"), str(reported / "colour-histogram")]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert [(pair["one"], pair["other"]) for pair in compared["pairs"]] == [(0, 1), (0, 2), (1, 2)]
    assert compared["pairs"][0]["differences"]["AP"]["interval95"] == [0.0, 0.0]
    assert main([*words, "--direction", "s2d", "--compare", str(reported / "rotated-hog")]) == 2
    assert "its direction is d2s" in capsys.readouterr().err


def test_what_cannot_be_compared_or_measured_is_one_sentence(reported: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    (tmp_path / "results.json").write_text("{}")
    good = str(reported / "rotated-hog")
    for words, sentence in (
        ([], "there is nothing to measure on"),
        ([good], "is not asked for; say --compare"),
        (["--compare"], "0 results cannot be compared"),
        (["--compare", good], "1 results cannot be compared"),
        (["--compare", good, str(tmp_path)], "holds no results of a benchmark's task"),
        (["--compare", good, good, "--split", "test"], "is only for measuring anew"),
    ):
        assert main(["evaluate", *words]) == 2
        captured = capsys.readouterr()
        assert sentence in captured.err
        assert captured.out == ""


def test_a_plain_folder_has_a_report_too(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", "--model", "colour-histogram", "--data", str(folder), "--report", str(tmp_path / "page")]) == 0
    assert (tmp_path / "page/report.html").is_file()
    assert json.loads((tmp_path / "page/results.json").read_text())["strict"]["R@1"] == 1.0


def test_a_misspelt_data_set_and_a_seed_below_zero_are_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", "--model", "colour-histogram", "--data", f"universty1652:{folder}"]) == 2
    assert "did you mean university1652?" in capsys.readouterr().err
    assert main(["evaluate", "--model", "colour-histogram", "--data", str(folder), "--seed", "-1"]) == 2
    assert "Traceback" not in capsys.readouterr().err
