from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from crossfix.errors import DataError, ModelError, RunError
from crossfix.evaluate.baselines import ColourHistogram
from crossfix.evaluate.benchmark import evaluate_folder
from crossfix.evaluate.measurable import open_measurable


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("benchmark")
    generator = np.random.default_rng(0)
    for place in range(8):
        image = cv2.resize(generator.integers(0, 256, (7, 7, 3), dtype=np.uint8), (96, 96), interpolation=cv2.INTER_CUBIC)
        for name, picture in ((f"gallery/{place}/map.png", image), (f"query/{place}/photo.png", np.rot90(image).copy())):
            path = root / name
            path.parent.mkdir(parents=True)
            Image.fromarray(picture).save(path)
    return root


@pytest.mark.parametrize("name", ["colour-histogram", "rotated-hog"])
def test_a_baseline_finds_turned_copies(folder: Path, name: str):
    seen: list[tuple[int, int]] = []
    results = evaluate_folder(open_measurable(name), folder, progress=lambda done, total: seen.append((done, total)))
    assert results["metrics"]["R@1"]["value"] == 1.0
    assert results["metrics"]["AP"]["interval95"] == [1.0, 1.0]
    assert (results["queries"], results["gallery"], results["model"]["name"]) == (8, 8, name)
    assert seen == [(8, 16), (16, 16)]


def test_results_are_written_with_their_provenance(folder: Path, tmp_path: Path):
    results = evaluate_folder(ColourHistogram(), folder, out=tmp_path / "out", seed=3)
    assert json.loads((tmp_path / "out/results.json").read_text()) == results
    assert results["seed"] == 3
    assert results["model"]["sha256"] == ColourHistogram.sha256
    assert results["environment"]["packages"]["numpy"] == np.__version__
    evaluate_folder(ColourHistogram(), folder, out=tmp_path / "out", seed=3)
    with pytest.raises(RunError, match="another seed"):
        evaluate_folder(ColourHistogram(), folder, out=tmp_path / "out", seed=4)


class Blind:
    model_id, sha256, dim = "blind", "0" * 64, 4

    def describe(self, images, *, kind=None):
        return np.ones((len(images), 4), np.float32)

    def describe_query(self, images, *, kind=None):
        return self.describe(images)[:, None]


def test_a_model_that_tells_nothing_apart_is_refused(folder: Path, tmp_path: Path):
    with pytest.raises(DataError, match="all descriptors are the same"):
        evaluate_folder(Blind(), folder, out=tmp_path / "out")
    assert not (tmp_path / "out/results.json").exists()


def test_an_unknown_model_is_refused():
    with pytest.raises(ModelError, match="nonsense"):
        open_measurable("nonsense")
