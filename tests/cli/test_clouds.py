"""`crossfix clouds` on a small set of worlds, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossfix.cli import app, main
from crossfix.clouds.files import read_cloud
from crossfix.worlds.sets.plan import SetPlan, write_set
from crossfix.worlds.sets.registry import writer


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets") / "denseuav"
    write_set(writer("denseuav", root, SetPlan(places=2, seed=3, halves=("train",), scale=0.05)), workers=1)
    return root


def test_build_check_and_view(written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["clouds", "build", str(written), "--data", "denseuav", "--backend", "world", "--side", "64", "--noise-m", "0.1"]
    assert main([*words, "--json"]) == 0
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert not told.err
    assert (report["places"], report["clouds"], report["failed"]) == (2, 6, 0)
    folder = written / "train" / "denseUAV_colmap_output"
    assert report["folder"] == str(folder)
    cloud = read_cloud(folder / "000000_group0")
    assert cloud.frame == "enu"
    assert np.hypot(*cloud.xyz_N3[:, :2].T).max() < 131
    assert (folder / "samples.png").is_file()

    assert main(words) == 0
    assert "6 clouds of 2 places by world" in capsys.readouterr().out
    assert main(["clouds", "check", str(written), "--data", "denseuav"]) == 0
    assert "6 clouds of 2 places, 0 findings" in capsys.readouterr().out
    assert (
        main(["clouds", "view", str(folder / "000001_group2"), "-o", str(tmp_path / "a.png"), "--colours", "height", "--size", "128"]) == 0
    )
    assert "frame enu" in capsys.readouterr().out
    assert Image.open(tmp_path / "a.png").size == (256, 148)

    (folder / "000001_group2" / "points3D.txt").unlink()
    (folder / "000000_group0" / "points3D.txt").write_text("other\n")
    assert main(["clouds", "check", str(written), "--data", "denseuav", "--json"]) == 2
    assert len(json.loads(capsys.readouterr().out)["findings"]) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--backend", "world", "--noise-m", "-1"], "noise of -1"),
        (["--backend", "world", "--groups", "0"], "0 groups"),
        (["--backend", "world", "--split", "night"], "night"),
        (["--backend", "world", "--dense"], "--dense is for clouds by colmap, not by world"),
        (["--backend", "colmap", "--noise-m", "0"], "--noise-m is for clouds by world, not by colmap"),
        (["--backend", "colmap", "--no-sky"], "--sky is for clouds by vggt, not by colmap"),
    ],
)
def test_what_cannot_be_built_is_told_in_a_sentence(
    words: list[str], told: str, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["clouds", "build", str(written), "--data", "denseuav", "-o", str(tmp_path / "c"), *words]) == 2
    err = [line for line in capsys.readouterr().err.splitlines() if line.startswith("crossfix: ")]
    assert len(err) == 1
    assert told in err[0]
    assert not (tmp_path / "c").exists()


def test_a_set_that_is_none_of_worlds_has_no_exact_clouds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("query", "gallery"):
        (tmp_path / part / "a").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / part / "a" / "1.png")
    assert main(["clouds", "build", str(tmp_path), "--data", "folder", "--backend", "world"]) == 2
    assert "is no set of worlds" in capsys.readouterr().err


def test_the_licence_is_named_before_vggt_runs(written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    assert main(["clouds", "build", str(written), "--data", "denseuav", "--backend", "vggt", "-o", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.index("non-commercial") < err.index("the vggt package is not installed")


def test_the_verb_is_known() -> None:
    assert "clouds" in app.VERBS
