"""The laboratory's examination."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.data.lab_tree import COLUMNS, write_lab

from crossfix.data.worldsv1 import TESTS, WorldsV1
from crossfix.errors import DataError, RunError
from crossfix.evaluate.baselines import ColourHistogram, RotatedHog
from crossfix.evaluate.lab import ALL_HEIGHTS, NORTH, STRESSED, conditions, oracle_scores, run_lab, summary
from crossfix.evaluate.task import evaluate_dataset


class Counting(ColourHistogram):
    """Counts the pictures it describes."""

    def __init__(self) -> None:
        self.pictures = 0

    def describe(self, images, **told):
        self.pictures += len(images)
        return super().describe(images, **told)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def results(root: Path):
    return run_lab(ColourHistogram(), root)


def test_every_part_stands_under_every_plain_condition():
    plain = [(one.part, one.name) for one in conditions() if one.dial is None]
    for part in TESTS:
        names = {name for other, name in plain if other == part}
        assert names == {ALL_HEIGHTS, "80m", "150m", "220m", "300m", "later", "map to drone", "panorama", NORTH}
    assert {one.part for one in conditions() if one.dial is not None} == set(STRESSED)
    assert len({(one.part, one.name) for one in conditions()}) == len(conditions()) == 72


def test_nine_weathers_are_told_from_clear_sky():
    weathers = {one.dial for one in conditions() if one.dial and one.dial.startswith("weather-")}
    assert len(weathers) == 9
    assert "weather-normal" not in weathers


def test_a_row_is_what_evaluate_says(root: Path, results):
    lab = WorldsV1(root)
    for split, direction, name in (("far-220m", "d2s", "220m"), ("far", "g2s", "panorama"), ("far-150m", "s2d", "map to drone")):
        alone = evaluate_dataset(ColourHistogram(), lab, split, direction)
        row = next(row for row in results["rows"] if row["part"] == "far" and row["name"] == name)
        assert row["strict"]["R@1"] == alone["strict"]["R@1"]
        assert row["intervals95"]["AP"] == alone["intervals95"]["AP"]
        assert row["gallery"] == alone["gallery"]


def test_a_stressed_row_is_what_a_sweep_says(root: Path, results):
    swept = evaluate_dataset(RotatedHog(), WorldsV1(root), "far-150m", "d2s", stress=("weather-dark", "shift"))["stress"]
    rows = {row["name"]: row for row in run_lab(RotatedHog(), root)["rows"] if row["part"] == "far"}
    by_level = {(one["dial"], one["level"]): one["strict"]["R@1"] for one in swept}
    assert rows["dark"]["strict"]["R@1"] == by_level["weather-dark", 3.0]
    assert rows["off by 30 %"]["strict"]["R@1"] == by_level["shift", 0.3]


def test_where_north_is_known_panoramas_show_it_in_the_middle(tmp_path: Path):
    """A model that knows columns by their bearing answers as if every panorama had been taken facing north."""

    class Columns(ColourHistogram):
        def describe(self, images, **told):
            made = np.stack([cv2.resize(image, (16, 8), interpolation=cv2.INTER_AREA).astype(np.float32).ravel() for image in images])
            return made / np.linalg.norm(made, axis=1, keepdims=True)

        def describe_query(self, images, **told):
            return self.describe(images)[:, None]

    root = write_lab(tmp_path)
    wanted = [one for one in conditions() if one.part == "far" and one.name in ("panorama", NORTH)]
    north = run_lab(Columns(), root, only=wanted)["rows"]
    assert north[0]["strict"] == north[1]["strict"], "these panoramas tell no heading"
    table = root / "far" / "images.csv"
    rows = list(csv.DictReader(table.open()))
    for row in rows:
        if row["kind"] == "ground":
            path = root / "far" / row["file"]
            Image.fromarray(np.roll(np.asarray(Image.open(path)), -48, axis=1)).save(path, quality=100, subsampling=0)
            row["heading_deg"] = "90"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    unknown, known = run_lab(Columns(), root, only=wanted)["rows"]
    assert known["strict"] == north[1]["strict"]
    assert unknown["strict"]["AP"] < known["strict"]["AP"]


def test_a_row_says_of_every_query_whether_it_was_right(results):
    for row in results["rows"]:
        assert len(row["first"]) == row["queries"]
        assert row["strict"]["R@1"] == pytest.approx(row["first"].count("1") / row["queries"])


def test_the_summary_is_the_mean_of_its_rows(results):
    rows = results["rows"]

    def mean(*, part=None, names=None, dial=None):
        chosen = [
            row["strict"]["R@1"]
            for row in rows
            if (part is None or row["part"] in part)
            and (names is None or row["name"] in names)
            and (dial is None or (row["dial"] or "").startswith(dial))
        ]
        return np.mean(chosen)

    told = summary(rows)
    assert told["seen"] == mean(part=("seen",), names=(ALL_HEIGHTS,))
    assert told["unseen"] == pytest.approx(mean(part=("near", "middle", "far"), names=(ALL_HEIGHTS,)))
    assert told["later"] == pytest.approx(mean(names=("later",)))
    assert told["ground"] == pytest.approx(mean(names=("panorama",)))
    assert told["weather"] == pytest.approx(mean(dial="weather-"))
    assert told["hidden"] == pytest.approx(mean(dial="blob"))
    assert told["misaligned"] == pytest.approx(mean(dial="shift"))
    limited = [row["strict"]["R@1"] for row in rows if row["dial"] in ("fov", "perspective")]
    assert told["limited view"] == pytest.approx(np.mean(limited))


def test_a_killed_run_goes_on(root: Path, tmp_path: Path, results):
    class KilledError(Exception):
        pass

    def kill(done: int, total: int) -> None:
        if done == 20:
            raise KilledError

    with pytest.raises(KilledError):
        run_lab(Counting(), root, out=tmp_path, progress=kill)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 21, "key": "near/')  # cut off while it was written
    again, anew = Counting(), Counting()
    finished = run_lab(again, root, out=tmp_path)
    run_lab(anew, root)
    assert again.pictures < anew.pictures
    assert finished["rows"] == results["rows"]
    assert json.loads((tmp_path / "results.json").read_text())["summary"] == results["summary"]


def test_oracles_are_those_trained_on_the_parts_own_style(tmp_path: Path):
    assert oracle_scores(tmp_path) == {}
    (tmp_path / "oracles").mkdir()
    table = {one: {part: {"value": 0.1 if one != part else 0.5 + 0.1 * number} for number, part in enumerate(TESTS)} for one in TESTS}
    (tmp_path / "oracles/results.json").write_text(json.dumps({"table": table}))
    assert oracle_scores(tmp_path) == {part: 0.5 + 0.1 * number for number, part in enumerate(TESTS)}


def test_what_was_measured_is_not_measured_again(root: Path, tmp_path: Path):
    run_lab(ColourHistogram(), root, out=tmp_path)
    again = Counting()
    run_lab(again, root, out=tmp_path)
    assert again.pictures == 0


def test_another_model_or_another_lab_is_refused(root: Path, tmp_path: Path):
    run_lab(ColourHistogram(), root, out=tmp_path / "out")
    with pytest.raises(RunError, match="another"):
        run_lab(RotatedHog(), root, out=tmp_path / "out")
    with pytest.raises(RunError, match="lab_sha256"):
        run_lab(ColourHistogram(), write_lab(tmp_path / "lab", places=4), out=tmp_path / "out")


def test_no_laboratory_is_one_sentence(tmp_path: Path):
    with pytest.raises(DataError, match="crossfix lab make"):
        run_lab(ColourHistogram(), tmp_path)
