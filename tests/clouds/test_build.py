"""Clouds of many places: what is written, what is reported, and going on after a stop."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossfix.clouds.backend import Built, NoCloudError
from crossfix.clouds.build import build_clouds, plan_jobs
from crossfix.clouds.check import check_clouds
from crossfix.clouds.cloud import Cloud
from crossfix.clouds.files import read_cloud
from crossfix.errors import DataError, InputError

VIEWS = [(place, Path(f"{place}/{number}.jpg")) for place in ("0001", "0002", "0003") for number in range(6)]


class Maker:
    """Makes a cloud from the views' names alone."""

    name = "maker"
    licence = ""

    def __init__(self, fails: str = "", points: int = 2000, stops_after: int = 99) -> None:
        self.fails, self.points, self.stops_after = fails, points, stops_after
        self.made: list[str] = []

    def options(self) -> dict[str, object]:
        return {"points": self.points}

    def reconstruct(self, views: Sequence[Path], key: str) -> Built:
        if len(self.made) == self.stops_after:
            raise KeyboardInterrupt
        if self.fails and self.fails in key:
            raise NoCloudError("views not matched", f"{key} cannot be matched")
        self.made.append(key)
        rng = np.random.default_rng(len(key) + sum(int(view.stem) for view in views))
        cloud = Cloud(rng.normal(0, (50, 50, 3), (self.points, 3)), rng.integers(0, 256, (self.points, 3), dtype=np.uint8), "enu")
        eyes = np.concatenate([np.full((1, 3), np.nan), rng.normal(size=(len(views) - 1, 3))])
        return Built(cloud, len(views), len(views) - 1, eyes, {"reprojection_px": 0.5, "unknown": np.nan})


def test_every_place_gets_its_clouds_a_report_and_a_picture(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    maker = Maker()
    report = build_clouds(tmp_path / "c", plan_jobs(VIEWS, 3), maker, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 9) for done in range(10)]
    assert (report["places"], report["clouds"], report["failed"], report["views"], report["registered"]) == (3, 9, 0, 18, 9)
    assert report["rows"][0]["reprojection_px"] == 0.5
    assert json.loads((tmp_path / "c" / "report.json").read_text()) == report
    assert Image.open(tmp_path / "c" / "samples.png").size[0] == 1200
    cloud = read_cloud(tmp_path / "c" / "0002_group1")
    assert len(cloud) == 2000
    assert cloud.frame == "enu"
    note = json.loads((tmp_path / "c" / "0002_group1" / "cloud.json").read_text())
    assert note["files"] == ["1.jpg", "4.jpg"]
    assert note["eyes"][0] is None


def test_a_stopped_build_goes_on_and_a_finished_one_makes_nothing(tmp_path: Path) -> None:
    jobs = plan_jobs(VIEWS, 3)
    with pytest.raises(KeyboardInterrupt):
        build_clouds(tmp_path / "c", jobs, Maker(stops_after=4))
    rest = Maker()
    first = build_clouds(tmp_path / "c", jobs, rest)
    assert len(rest.made) == 5
    again = Maker()
    assert build_clouds(tmp_path / "c", jobs, again) == first
    assert again.made == []


def test_a_cloud_whose_note_is_missing_is_made_again(tmp_path: Path) -> None:
    jobs = plan_jobs(VIEWS, 3)
    build_clouds(tmp_path / "c", jobs, Maker())
    (tmp_path / "c" / "0003_group2" / "cloud.json").unlink()
    (tmp_path / "c" / "0001_group0" / "points3D.txt").unlink()
    maker = Maker()
    build_clouds(tmp_path / "c", jobs, maker)
    assert maker.made == ["0001_group0", "0003_group2"]


def test_a_cloud_of_before_cameras_were_kept_is_made_again(tmp_path: Path) -> None:
    jobs = plan_jobs(VIEWS, 3)
    build_clouds(tmp_path / "c", jobs, Maker())
    path = tmp_path / "c" / "0002_group0" / "cloud.json"
    note = json.loads(path.read_text())
    assert note.pop("cameras") == {}, "this maker knows none"
    path.write_text(json.dumps(note))
    maker = Maker()
    build_clouds(tmp_path / "c", jobs, maker)
    assert maker.made == ["0002_group0"]


def test_damaged_clouds_and_notes_are_made_again(tmp_path: Path) -> None:
    jobs = plan_jobs(VIEWS, 3)
    report = build_clouds(tmp_path / "c", jobs, Maker())
    points, note, rest = (tmp_path / "c" / f"000{place}_group0" for place in (1, 2, 3))
    text = (points / "points3D.txt").read_text().splitlines(keepends=True)
    (points / "points3D.txt").write_text("".join(text[:-700]))  # cut between two lines: a whole cloud to any reader
    (note / "cloud.json").write_text("{")
    (rest / "cloud.json").write_text("{}")
    maker = Maker()
    again = build_clouds(tmp_path / "c", jobs, maker)
    assert maker.made == ["0001_group0", "0002_group0", "0003_group0"]
    assert [row["points"] for row in again["rows"]] == [row["points"] for row in report["rows"]]


def test_clouds_of_before_the_checksum_was_kept_stay(tmp_path: Path) -> None:
    jobs = plan_jobs(VIEWS, 3)
    build_clouds(tmp_path / "c", jobs, Maker())
    path = tmp_path / "c" / "0002_group0" / "cloud.json"
    note = json.loads(path.read_text())
    del note["sha256"]
    path.write_text(json.dumps(note))
    maker = Maker()
    build_clouds(tmp_path / "c", jobs, maker)
    assert maker.made == []


def test_failures_are_counted_by_reason_and_tried_again(tmp_path: Path) -> None:
    jobs = plan_jobs(VIEWS, 3)
    report = build_clouds(tmp_path / "c", jobs, Maker(fails="0002"))
    assert (report["clouds"], report["failed"], report["failures"]) == (6, 3, {"views not matched": 3})
    assert report["places_without_cloud"] == ["0002"]
    assert report["failed_rows"][0] == {
        "place": "0002", "group": "0", "reason": "views not matched", "what": "0002_group0 cannot be matched",
    }  # fmt: skip
    maker = Maker()
    assert build_clouds(tmp_path / "c", jobs, maker)["failed"] == 0
    assert len(maker.made) == 3


def test_clouds_of_another_plan_or_another_maker_are_not_mixed(tmp_path: Path) -> None:
    build_clouds(tmp_path / "c", plan_jobs(VIEWS, 3), Maker())
    with pytest.raises(DataError, match="another plan"):
        build_clouds(tmp_path / "c", plan_jobs(VIEWS, 3), Maker(points=1500))
    (tmp_path / "planned").mkdir()
    (tmp_path / "planned" / "plan.json").write_text('{"format": 1}')  # a build that was refused before its first cloud
    assert build_clouds(tmp_path / "planned", plan_jobs(VIEWS, 3), Maker())["clouds"] == 9
    (tmp_path / "published" / "0001_group0").mkdir(parents=True)
    with pytest.raises(DataError, match="did not make"):
        build_clouds(tmp_path / "published", plan_jobs(VIEWS, 3), Maker())


def test_nothing_to_build_is_refused() -> None:
    with pytest.raises(DataError, match="no drone views"):
        plan_jobs([], 3)
    with pytest.raises(InputError):
        plan_jobs(VIEWS, 0)
    with pytest.raises(InputError):
        plan_jobs(VIEWS, 3, 0)


def test_a_check_finds_what_is_missing_small_or_damaged(tmp_path: Path) -> None:
    build_clouds(tmp_path / "c", plan_jobs(VIEWS, 3), Maker())
    places = ["0001", "0002", "0003"]
    assert check_clouds(tmp_path / "c", places)["findings"] == []
    (tmp_path / "c" / "0001_group0" / "points3D.txt").write_text("1 nan 0 0 1 2 3 -1\n")
    lines = (tmp_path / "c" / "0002_group1" / "points3D.txt").read_text().splitlines(keepends=True)
    (tmp_path / "c" / "0002_group1" / "points3D.txt").write_text("".join(lines[:1003]))
    report = check_clouds(tmp_path / "c", [*places, "0004"])
    assert report["clouds"] == 9
    assert report["places"] == 4
    whats = {Path(finding["where"]).parent.name: finding["what"] for finding in report["findings"]}
    assert "has no cloud" in whats[""]
    assert "NaN" in whats["0001_group0"]
    assert "1,000 points, fewer than 1,024" in whats["0002_group1"]
