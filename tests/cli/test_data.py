from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossfix.cli.app import main
from data.drone_trees import uavvisloc


def test_chips_are_cut_with_progress_and_then_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = uavvisloc(tmp_path / "set")
    assert main(["data", "chips", str(root), "--side-px", "64", "--flight", "09"]) == 0
    told = capsys.readouterr()
    count = len(list((root / "chips/09").glob("*.jpg")))
    assert told.out == f"{count} chips in {root / 'chips'}\n"
    assert told.err.startswith(f"Cutting chips: {count} of {count} in ")
    assert main(["data", "chips", str(root), "--side-px", "64", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["chips"] == len(list((root / "chips").rglob("*.jpg"))) > count
    assert told.err == ""


@pytest.mark.parametrize("words", [["--side-px", "3"], ["--overlap", "1"], ["--flight", "05"]])
def test_what_cannot_be_cut_is_refused_in_a_sentence(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = uavvisloc(tmp_path / "set")
    assert main(["data", "chips", str(root), *words]) == 2
    assert capsys.readouterr().err.count("crossfix: ") == 1
    assert not (root / "chips").exists()
