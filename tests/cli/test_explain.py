"""`crossfix explain` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from crossfix.cli.explain import app
from crossfix.errors import DiskError, InputError, PhotoError


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    for name, seed in (("photo.jpg", 1), ("chip.png", 2)):
        coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC).save(tmp_path / name)
    return str(tmp_path / "photo.jpg"), str(tmp_path / "chip.png")


def test_it_draws_and_tells(files: tuple[str, str], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [*files, "-o", str(tmp_path / "picture.png")], catch_exceptions=False)
    assert done.exit_code == 0
    for words in ("Similarity", "cluster", "the global part", "Kept of the photo 25%", "(fixed)", "picture.png"):
        assert words in done.output
    with Image.open(tmp_path / "picture.png") as drawn:
        assert drawn.format == "PNG"
        assert drawn.width > 1000


def test_json_alone(files: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "picture.webp"
    done = CliRunner().invoke(app, [*files, "-o", str(out), "--json"], catch_exceptions=False)
    told = json.loads(done.output)
    assert told["picture"] == str(out)
    assert out.stat().st_size > 0
    assert told["model"] == "gengeo-tiny"
    parts = [part["part"] for part in told["clusters"]]
    assert parts == sorted(parts, reverse=True)
    assert len(parts) == 16
    assert sum(parts) + told["global"]["part"] == pytest.approx(told["similarity"], abs=1e-5)


def test_what_the_user_must_mend(files: tuple[str, str], tmp_path: Path) -> None:
    for words, error, says in (
        ([*files, "-o", str(tmp_path / "picture.bmp")], InputError, "choose one of .png"),
        ([files[0], str(tmp_path / "none.png"), "-o", str(tmp_path / "p.png")], PhotoError, "no such photo"),
        ([*files, "-o", str(tmp_path / "no" / "folder" / "p.png")], DiskError, "cannot be written"),
    ):
        with pytest.raises(error, match=says):
            CliRunner().invoke(app, words, catch_exceptions=False)
