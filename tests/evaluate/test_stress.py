from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from crossfix.data.dataset import Task
from crossfix.data.stress.dials import DIALS, stress
from crossfix.data.university1652 import University1652
from crossfix.data.view import View
from crossfix.errors import InputError
from crossfix.evaluate.baselines import ColourHistogram
from crossfix.evaluate.stress import GROUPS, Setting, settings, sweep
from crossfix.evaluate.task import evaluate_dataset


@pytest.fixture(scope="module")
def university(tmp_path_factory: pytest.TempPathFactory) -> University1652:
    """Six places, the drone's view the satellite's."""
    root = tmp_path_factory.mktemp("university")
    for place in range(6):
        coarse = np.random.default_rng(place).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        image = Image.fromarray(cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_CUBIC))
        for folder in ("query_drone", "gallery_drone", "query_satellite", "gallery_satellite"):
            path = root / f"test/{folder}/{place:04d}/0.png"
            path.parent.mkdir(parents=True)
            image.save(path)
    (root / "train").mkdir()
    return University1652(root)


def test_words_become_settings_of_the_half_that_a_dial_is_for(university: University1652):
    task = university.task("test", "d2s")
    assert settings(["shift"], task) == [Setting("shift", level, "gallery") for level in DIALS["shift"].levels]
    weather = settings(["weather", "weather"], task)
    assert len(weather) == len(GROUPS["weather"]) == 10
    assert {(one.level, one.side) for one in weather} == {(3.0, "query")}
    assert settings(["weather-fog"], university.task("test", "s2d"))[0] == Setting("weather-fog", 1.0, "gallery")


def ground_task(root: Path, size: tuple[int, int]) -> Task:
    for name in ("ground.png", "satellite.png"):
        Image.new("RGB", size if name == "ground.png" else (32, 32)).save(root / name)
    query, gallery = [View(root / "ground.png", "p", "ground")], [View(root / "satellite.png", "p", "satellite")]
    return Task("cvusa", "test", "g2s", query, gallery, [np.array([0])], None, "cvusa")


def shape(words: list[str], task: Task) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {}
    for one in settings(words, task):
        found.setdefault((one.dial, one.side), []).append(one.level)
    return found


def test_every_word_of_the_issue_is_one(university: University1652, tmp_path: Path):
    drone, panorama = university.task("test", "d2s"), ground_task(tmp_path, (128, 64))
    assert shape(["heading"], panorama) == {("heading", "query"): [15, 45, 90, 135, 180]}  # the chips are not turned besides
    assert shape(["heading"], drone) == {("turn", "query"): [15, 45, 90, 135, 180]}
    assert shape(["fov"], panorama) == {("fov", "query"): [360, 180, 90, 70], ("perspective", "query"): [110, 90, 70, 60, 50]}
    assert shape(["shift"], panorama) == {("shift", "gallery"): [0.1, 0.2, 0.3, 0.4, 0.5]}
    assert shape(["scale"], drone) == {("scale", "gallery"): [0.5, 0.7, 0.85, 1.2, 1.4, 2.0]}
    halves = shape(["occlusion"], drone)
    assert set(halves) == {("rectangles", "query"), ("rectangles", "gallery"), ("blob", "query"), ("blob", "gallery")}
    every = settings(["weather", "heading", "fov", "shift", "scale", "occlusion", "corruptions"], panorama)
    assert len({one.key for one in every}) == len(every) > 100


def test_pictures_that_are_no_panoramas_are_not_turned_as_such(tmp_path: Path):
    for word in ("heading", "fov", "perspective"):
        with pytest.raises(InputError, match=rf"{word}: is for panoramas, and ground.png with 64 x 64 px is none"):
            settings([word], ground_task(tmp_path, (64, 64)))


def test_what_makes_no_sense_is_refused(university: University1652):
    task = university.task("test", "d2s")
    with pytest.raises(InputError, match="earthquake: there is no such stress; choose from weather"):
        settings(["earthquake"], task)
    with pytest.raises(InputError, match="fov: is for ground views"):
        settings(["fov"], task)


class Recorder(ColourHistogram):
    """A histogram that keeps the queries it has seen."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def describe_query(self, images, *, kind=None):
        self.seen += list(images)
        return super().describe_query(images, kind=kind)


class FirstRow(ColourHistogram):
    """Describes a picture by the colour of its first pixel among the gallery's: any change there is fatal."""

    dim = 3

    def describe(self, images, *, kind=None):
        first = np.stack([image[0, 0].astype(np.float32) + 1 for image in images])
        return first / np.linalg.norm(first, axis=1, keepdims=True)


def test_scores_are_those_of_the_changed_pictures(university: University1652):
    results = evaluate_dataset(FirstRow(), university, "test", "d2s", stress=["corruption-contrast", "shift"])
    assert results["strict"]["R@1"] == 1.0
    worst = {row["dial"]: row["strict"]["R@1"] for row in results["stress"]}  # the last level of each
    assert worst["corruption-contrast"] < 1.0
    assert worst["shift"] < 1.0


def test_queries_are_changed_as_the_dial_says_and_the_rest_stays(university: University1652, tmp_path: Path):
    model, told = Recorder(), []
    results = evaluate_dataset(
        model, university, "test", "d2s", stress=["quarter_turn", "blob"], seed=5, progress=lambda done, total: told.append((done, total))
    )
    levels = DIALS["blob"].levels
    assert [(row["dial"], row["level"], row["side"]) for row in results["stress"]] == [
        ("quarter_turn", 1.0, "query"),
        *(("blob", level, "query") for level in levels),
    ]
    assert results["stress"][0]["strict"] == results["strict"]  # a histogram does not see turns
    assert told[-1] == (12 + 6 * (1 + len(levels)),) * 2
    views = university.task("test", "d2s").query
    last = stress(views[2].read(), "blob", levels[-1], image_id=views[2].path.relative_to(university.root).as_posix(), seed=5)
    np.testing.assert_array_equal(model.seen[-4], last)
    again = evaluate_dataset(ColourHistogram(), university, "test", "d2s", stress=["blob", "quarter_turn"], seed=5)
    assert sorted(map(str, again["stress"])) == sorted(map(str, results["stress"]))


def test_models_are_told_how_much_of_the_horizon_is_left(tmp_path: Path):
    panorama, tile = tmp_path / "panorama.png", tmp_path / "tile.png"
    for path, size in ((panorama, (40, 160)), (tile, (40, 40))):
        cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
    views = [View(panorama, "a", "ground")], [View(tile, "a", "satellite")]
    task = Task("made", "test", "g2s", *views, [np.array([0])], None, None)
    told: list[tuple[str, float, int]] = []

    class Told(ColourHistogram):
        def describe_query(self, images, *, kind="query", fov_deg=360.0):
            told.append((kind, fov_deg, images[0].shape[1]))
            return super().describe_query(images)

    model = Told()
    query, gallery = np.ones((1, 1, model.dim), np.float32), np.ones((1, model.dim), np.float32)
    wanted = settings(["fov", "heading"], task)
    sweep(model, task, tmp_path, wanted, query, gallery, lambda setting, query_QRD, gallery_GD: {})
    assert [row[:2] for row in told] == [("ground", 360.0 if one.dial == "heading" else one.level) for one in wanted]
    assert [row[2] for row, one in zip(told, wanted, strict=True) if one.dial == "fov"] == [160, 80, 40, 31]
    assert {row[2] for row, one in zip(told, wanted, strict=True) if one.dial == "heading"} == {160}
