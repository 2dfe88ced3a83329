from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossfix.data.view import View
from crossfix.errors import DataError
from crossfix.evaluate.baselines import BASELINES
from crossfix.evaluate.describe import describe_views, prepare_of, read_ahead
from toy_describer import ToyDescriber


def views(folder: Path, count: int, px: int = 24) -> list[View]:
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        path = folder / f"{number:04}.png"
        Image.fromarray(rng.integers(0, 256, (px, px + 4, 3), dtype=np.uint8)).save(path)
        found.append(View(path, str(number)))
    return found


def test_pictures_come_in_order_in_batches(tmp_path: Path):
    asked = views(tmp_path, 130)
    batches = list(read_ahead(asked))
    assert [len(batch) for batch in batches] == [64, 64, 2]
    for view, picture in zip(asked, (picture for batch in batches for picture in batch), strict=True):
        np.testing.assert_array_equal(picture, view.read())


def test_the_next_batch_is_decoded_while_the_caller_has_this_one(tmp_path: Path):
    asked = views(tmp_path, 65)
    last = threading.Event()

    def change(view: View, picture: np.ndarray) -> np.ndarray:
        if view is asked[-1]:
            last.set()
        return picture

    batches = read_ahead(asked, change)
    next(batches)
    assert last.wait(5)


def test_a_change_comes_before_the_preparation(tmp_path: Path):
    asked = views(tmp_path, 3)
    (batch,) = read_ahead(asked, lambda view, picture: picture[:8], lambda picture, kind: picture + np.uint8(len(picture)))
    for view, picture in zip(asked, batch, strict=True):
        np.testing.assert_array_equal(picture, view.read()[:8] + np.uint8(8))


def test_descriptors_and_progress_are_those_of_single_pictures(tmp_path: Path):
    asked, model, told = views(tmp_path, 70), ToyDescriber(), []
    found = describe_views(asked, model.describe, lambda done, every: told.append((done, every)))
    np.testing.assert_array_equal(found, np.concatenate([model.describe([view.read()]) for view in asked]))
    assert told == [(64, 70), (70, 70)]


def test_the_first_damaged_image_is_named_and_the_rest_left(tmp_path: Path):
    asked = views(tmp_path, 200)
    for number in (3, 70):
        asked[number].path.write_bytes(asked[number].path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"0003\.png"):
        describe_views(asked, ToyDescriber().describe)
    with pytest.raises(DataError, match=r"0070\.png"):
        describe_views(asked[4:], ToyDescriber().describe)


@pytest.mark.parametrize("px", [40, 200])
@pytest.mark.parametrize("name", BASELINES)
def test_baselines_describe_prepared_pictures_alike(tmp_path: Path, name: str, px: int):
    model = BASELINES[name]()
    prepare = prepare_of(model)
    assert prepare is not None
    for view in views(tmp_path, 3, px):
        picture = view.read()
        for describe in (model.describe, model.describe_query):
            np.testing.assert_array_equal(describe([prepare(picture)]), describe([picture]))
        assert max(prepare(picture).shape[:2]) <= max(picture.shape[:2])
    assert prepare_of(ToyDescriber()) is None
