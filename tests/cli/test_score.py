from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crossfix.cli import main


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(120, 8)).astype(np.float32)
    ids = np.arange(120)
    lonlat = np.array([120.0, 30.0]) + generator.uniform(0, 1e-3, (120, 2))
    np.savez(tmp_path / "Q.npz", features=features[:40] + generator.normal(size=(40, 8)) / 2, ids=ids[:40], lonlat=lonlat[:40])
    np.savez(tmp_path / "G.npz", features=features, ids=ids, lonlat=lonlat)
    return ["score", "--queries", str(tmp_path / "Q.npz"), "--gallery", str(tmp_path / "G.npz"), "--protocol"]


def test_json_alone_on_stdout(files: list[str], capsys: pytest.CaptureFixture[str]):
    assert main([*files, "denseuav", "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["protocol"] == "denseuav"
    assert {"R@1", "R@5", "R@10", "R@1%", "AP", "SDM@1", "SDM@10", "MA@1", "MA@100"} <= set(found["paper"])
    assert {"R@1", "AP", "SDM@1", "MA@5", "Dis@1"} <= set(found["strict"]) == set(found["intervals95"])
    assert 0 < found["paper"]["R@1"] < 1
    assert 0 <= found["strict"]["R@1"] <= found["paper"]["R@10"] <= 1
    assert (found["queries"], found["gallery"]) == (40, 120)
    assert "Scoring: 40 of 40" in captured.err


def test_a_table_for_people(files: list[str], capsys: pytest.CaptureFixture[str]):
    assert main([*files, "denseuav"]) == 0
    out = capsys.readouterr().out
    for word in ("R@1%", "SDM@3", "MA@20", "Dis@1", " m ", "paper", "strict", "95 %", "evaluateDistance.py", "40 queries of 40 places"):
        assert word in out
    assert "MA@21" not in out
    assert "not all of unit norm" in out


def test_one_side_alone(files: list[str], capsys: pytest.CaptureFixture[str]):
    assert main([*files, "cvusa", "--only", "paper", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["paper"]) == {"R@1", "R@5", "R@10", "R@1%"}
    assert found["strict"] == found["intervals95"] == {}
    assert main([*files, "cvusa", "--only", "paper"]) == 0
    header = next(line for line in capsys.readouterr().out.splitlines() if "metric" in line)
    assert "paper" in header
    assert "strict" not in header


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["market"], "there is no protocol 'market'; use one of university1652"),
        (["cvusa", "--only", "both"], "there is no side 'both'"),
        (["vigor"], "Q.npz: holds no semi_positives"),
        (["gtauav"], "Q.npz: holds no xy_m and no positives"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(files: list[str], words: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    assert main([*files, *words, "--json"]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.strip().count("\n") == 0
    assert captured.out == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features": np.full((40, 8), np.nan)}, "the descriptor of image 0 is NaN, infinite or zero"),
        ({"features": np.full((40, 8), 0.5)}, "all descriptors are the same"),
        ({"features": np.ones((40, 7)) * np.arange(1, 41)[:, None] ** 0.5}, "its descriptors have 7 entries, those of"),
        ({"features": np.ones((0, 8)), "ids": np.arange(0)}, "features are empty"),
        ({"ids": np.arange(40) + 100}, "20 queries have no right image in"),
        ({"ids": np.arange(39)}, "ids have the shape (39,)"),
    ],
)
def test_descriptors_that_cannot_be_scored(files: list[str], change: dict, said: str, capsys: pytest.CaptureFixture[str]):
    with np.load(files[2]) as old:
        kept = {name: old[name] for name in ("features", "ids")}
    np.savez(files[2], **{**kept, **change})
    assert main([*files, "university1652"]) == 2
    captured = capsys.readouterr()
    assert said in captured.err.replace("\n", "")
    assert captured.out == ""


def test_a_file_that_is_no_npz(files: list[str], capsys: pytest.CaptureFixture[str]):
    Path(files[4]).write_bytes(b"features")
    assert main([*files, "university1652"]) == 2
    assert "G.npz: is no npz file" in capsys.readouterr().err
