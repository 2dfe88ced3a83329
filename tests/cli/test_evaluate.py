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
