from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from crossfix.data.dataset import Task
from crossfix.data.folder import Folder
from crossfix.data.registry import DATASETS
from crossfix.data.table import TABLE
from crossfix.data.university1652 import University1652
from crossfix.data.view import View
from crossfix.errors import DataError, InputError, RunError
from crossfix.evaluate.baselines import ColourHistogram, RotatedHog
from crossfix.evaluate.describe import describe_views
from crossfix.evaluate.task import described, evaluate_dataset, first_test_split, score_task


def picture(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    return cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def university(tmp_path_factory: pytest.TempPathFactory) -> University1652:
    """Four places and a distractor; the drone views are quarter turns of the satellite images."""
    root = tmp_path_factory.mktemp("university")
    for place in range(5):
        stores = {"satellite": [picture(place)], "drone": [np.rot90(picture(place), turn).copy() for turn in (1, 2, 3)]}
        for kind, images in stores.items():
            for half in ("query", "gallery")[1 if place == 4 else 0 :]:
                folder = root / f"test/{half}_{kind}/{place:04d}"
                folder.mkdir(parents=True)
                for number, image in enumerate(images):
                    Image.fromarray(image).save(folder / f"{number}.png")
    (root / "train").mkdir()
    return University1652(root)


def test_turned_copies_are_found_by_both_sides(university: University1652, tmp_path: Path):
    seen: list[tuple[int, int]] = []
    results = evaluate_dataset(
        RotatedHog(), university, "test", "d2s", out=tmp_path / "out", progress=lambda done, total: seen.append((done, total))
    )
    assert results["paper"]["R@1"] == results["strict"]["R@1"] == 1.0
    assert results["paper"]["AP"] == 1.0
    assert (results["queries"], results["places"], results["gallery"], results["protocol"]) == (12, 4, 5, "university1652")
    assert seen == [(5, 17), (17, 17)]
    assert json.loads((tmp_path / "out/results.json").read_text()) == results
    with pytest.raises(RunError, match="another direction"):
        evaluate_dataset(RotatedHog(), university, "test", "s2d", out=tmp_path / "out")


def test_the_papers_side_may_follow_another_script(university: University1652, tmp_path: Path):
    """Sample4Geo's takes the distractor out: four places among four."""
    own = evaluate_dataset(ColourHistogram(), university, "test", "d2s", stress=["weather-fog"], out=tmp_path / "own")
    other = evaluate_dataset(ColourHistogram(), university, "test", "d2s", protocol="university1652-sample4geo", stress=["weather-fog"])
    assert (own["junk"]["paper"], other["junk"]["paper"], other["protocol"]) == (0, 1, "university1652-sample4geo")
    assert (own["strict"], own["data_sha256"]) == (other["strict"], other["data_sha256"])
    for one in (own, other):
        assert [row.keys() for row in one["stress"]] == [{"dial", "level", "side", "paper", "strict", "intervals95"}] * len(one["stress"])
        assert all(row["paper"]["R@1"] >= row["strict"]["R@1"] for row in one["stress"])
    assert all(one["paper"]["AP"] <= two["paper"]["AP"] for one, two in zip(own["stress"], other["stress"], strict=True))
    assert any(one["paper"]["AP"] < two["paper"]["AP"] for one, two in zip(own["stress"], other["stress"], strict=True))
    with pytest.raises(RunError, match="protocol"):
        evaluate_dataset(ColourHistogram(), university, "test", "d2s", protocol="sues200", stress=["weather-fog"], out=tmp_path / "own")
    for wrong in ("cvusa", "gtauav"):
        with pytest.raises(InputError, match="tells right from wrong in another way than university1652"):
            evaluate_dataset(ColourHistogram(), university, "test", "d2s", protocol=wrong)


def test_several_descriptors_a_query_count_by_their_best(university: University1652):
    task = university.task("test", "d2s")
    gallery = np.eye(5, dtype=np.float32)
    own = np.repeat(gallery[:4], 3, axis=0)
    wrong = np.roll(own, 1, axis=1)
    both = np.stack([0.5 * wrong + 0.4 * own, own], axis=1)
    assert score_task(task, both, gallery).strict["R@1"] == 1.0
    assert score_task(task, both[:, :1], gallery).strict["R@1"] == 0.0


def test_unknown_splits_are_refused(university: University1652):
    with pytest.raises(InputError, match="no split 'val'"):
        evaluate_dataset(ColourHistogram(), university, "val", "d2s")


def view(place: str, **known: float) -> View:
    return View(Path(f"{place}.jpg"), place, **known)  # type: ignore[arg-type]


def test_ids_and_lists_say_the_same_as_the_task():
    query, gallery = [view("b"), view("c")], [view("a"), view("b"), view("x"), view("c")]
    rows = [np.array([1]), np.array([3])]
    semi = [np.array([0, 2]), np.array([], int)]
    one, other = described(
        Task("vigor", "test-same", "g2s", query, gallery, rows, semi, "vigor"),
        np.eye(2, 3, dtype=np.float32),
        np.eye(4, 3, dtype=np.float32),
    )
    assert one.ids.tolist() == [other.ids[1], other.ids[3]]
    assert len(set(other.ids)) == 4
    assert one.semi_positives is not None
    assert one.semi_positives.tolist() == [[other.ids[0], other.ids[2]], [-1, -1]]
    assert (one.lonlat, one.positives) == (None, None)


def test_images_right_by_distance_are_scored_strictly_alone(tmp_path: Path):
    lines = ["file,role,lat,lon"]
    for number in range(4):
        Image.fromarray(picture(number)).save(tmp_path / f"{number}.png")
        lines += [f"{number}.png,query,46.0,{7 + number / 100}", f"{number}.png,gallery,46.0001,{7 + number / 100}"]
    (tmp_path / TABLE).write_text("\n".join(lines))
    results = evaluate_dataset(ColourHistogram(), Folder(tmp_path), "all", "any")
    assert results["paper"] == {}
    assert results["strict"]["R@1"] == 1.0
    assert results["strict"]["Dis@1"] == pytest.approx(11.1, abs=0.1)
    assert results["intervals95"]["R@1"] == [1.0, 1.0]


class Told(ColourHistogram):
    """Notes of which kind it is told the images are."""

    def __init__(self) -> None:
        self.kinds: list[tuple[str, int]] = []

    def describe(self, images, *, kind="not told"):
        self.kinds.append((kind, len(images)))
        return super().describe(images)

    def describe_query(self, images, *, kind="not told"):
        return self.describe(images, kind=kind)[:, None]


def test_models_are_told_what_kind_of_view_they_describe(university: University1652, tmp_path: Path):
    model = Told()
    evaluate_dataset(model, university, "test", "d2s")
    assert model.kinds == [("satellite", 5), ("drone", 12)]
    for half in ("query", "gallery"):
        for number in range(2):
            (tmp_path / half / str(number)).mkdir(parents=True)
            Image.fromarray(picture(number)).save(tmp_path / half / str(number) / "a.png")
    model = Told()
    evaluate_dataset(model, Folder(tmp_path), "all", "any")
    assert model.kinds == [("not told", 2), ("not told", 2)]


def test_views_of_several_kinds_are_described_kind_by_kind(tmp_path: Path):
    kinds = ["ground", "drone", "ground", None]
    views = []
    for number, kind in enumerate(kinds):
        Image.fromarray(picture(number)).save(tmp_path / f"{number}.png")
        views.append(View(tmp_path / f"{number}.png", str(number), kind))
    model = Told()
    found = describe_views(views, model.describe)
    assert model.kinds == [("ground", 2), ("drone", 1), ("not told", 1)]
    np.testing.assert_array_equal(found, ColourHistogram().describe([view.read() for view in views]))


def test_every_data_set_is_tested_on_a_split_meant_for_it(tmp_path: Path):
    chosen = {name: first_test_split(dataset(tmp_path)) for name, dataset in DATASETS.items()}
    assert chosen == {
        "cvusa": "test",
        "cvact": "test",
        "vigor": "test-same",
        "university1652": "test",
        "sues200": "test-150",
        "denseuav": "test",
        "gtauav": "cross-area-test",
        "uavvisloc": "all",
        "worlds-v1": "seen",
        "folder": "all",
    }


def test_a_query_with_nothing_to_find_is_told_before_pictures_are_described(tmp_path: Path):
    class Idle(ColourHistogram):
        def describe(self, images, **told):
            raise AssertionError("described")

    for half, places in (("query", 3), ("gallery", 2)):
        for place in range(places):
            path = tmp_path / f"data/{half}/{place}/a.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(picture(place)).save(path)
    with (tmp_path / "data" / TABLE).open("w") as table:
        table.write("file,role,place,kind\n")
        table.writelines(f"{half}/{place}/a.png,{half},{place},drone\n" for half, n in (("query", 3), ("gallery", 2)) for place in range(n))
    with pytest.raises(DataError, match="1 queries have no right image"):
        evaluate_dataset(Idle(), Folder(tmp_path / "data"), "all", "any", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
