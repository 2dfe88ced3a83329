from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from crossfix.data.sues200 import HEIGHTS_M, PLACES, TEST_PLACES, TRAIN_PLACES, Sues200
from crossfix.data.view import View
from crossfix.errors import DataError, InputError
from data.drone_trees import counts, findings, names, put, sues200_downloaded


def split_as_published(source: Path, target: Path, train: Sequence[str], test: Sequence[str]) -> Path:
    """What the authors' script does to a downloaded copy, written from its description: copy folders into two halves."""
    for height in ("150", "200", "250", "300"):
        for role, places in (
            ("Training/{}/", train),
            ("Testing/{}/query_", test),
            ("Testing/{}/gallery_", [*train, *test]),
        ):
            for place in places:
                base = role.format(height)
                shutil.copytree(source / "drone_view_512" / place / height, target / f"{base}drone" / place)
                shutil.copytree(source / "satellite-view" / place, target / f"{base}satellite" / place)
    return target


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sues200_downloaded(tmp_path_factory.mktemp("whole") / "SUES-200-512x512", PLACES)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split copy of two places of each half."""
    source = sues200_downloaded(tmp_path_factory.mktemp("few") / "all", ["0001", "0002", "0008", "0012"], shots=11)
    return split_as_published(source, source.parent / "split", ["0001", "0002"], ["0008", "0012"])


def said(views: Sequence[View]) -> list[tuple[str, str, str | None, float | None]]:
    return [(view.place, view.path.name, view.kind, view.height_m) for view in views]


def test_the_published_split_has_120_places_to_train_on_and_80_to_test():
    assert len(PLACES) == 200
    assert len(set(TRAIN_PLACES)) == 120
    assert len(set(TEST_PLACES)) == 80
    assert set(TRAIN_PLACES) | set(TEST_PLACES) == set(PLACES)
    assert TRAIN_PLACES[:10] == ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0009", "0010", "0011")
    assert TRAIN_PLACES[-3:] == ("0198", "0199", "0200")
    assert TEST_PLACES[:3] == ("0008", "0012", "0014")
    assert Sues200.splits == (*(f"train-{height}" for height in HEIGHTS_M), *(f"test-{height}" for height in HEIGHTS_M))


@pytest.mark.parametrize("direction", ["d2s", "s2d"])
@pytest.mark.parametrize("half", ["train", "test"])
def test_a_downloaded_copy_gives_what_the_split_one_gives(downloaded: Path, tmp_path: Path, half: str, direction: str):
    """At 200 m; the same loop serves the other heights."""
    split = tmp_path / "split"
    roles = ("Training/200/",) if half == "train" else ("Testing/200/query_", "Testing/200/gallery_")
    for role in roles:
        places = TRAIN_PLACES if half == "train" else TEST_PLACES if role.endswith("query_") else PLACES
        for place in places:
            for kind, source in (("drone", f"drone_view_512/{place}/200"), ("satellite", f"satellite-view/{place}")):
                (split / f"{role}{kind}").mkdir(parents=True, exist_ok=True)
                (split / f"{role}{kind}" / place).symlink_to(downloaded / source, target_is_directory=True)
    one, other = Sues200(downloaded), Sues200(split)
    assert (one.is_split, other.is_split) == (False, True)
    ours, theirs = one.task(f"{half}-200", direction), other.task(f"{half}-200", direction)
    assert said(ours.query) == said(theirs.query)
    assert said(ours.gallery) == said(theirs.gallery)
    assert [rows.tolist() for rows in ours.positives] == [rows.tolist() for rows in theirs.positives]


def test_the_test_searches_among_all_200_places(downloaded: Path):
    task = Sues200(downloaded).task("test-250", "d2s")
    assert (len(task.query), len(task.gallery)) == (80 * 2, 200)
    assert task.protocol == "sues200"
    assert {view.height_m for view in task.query} == {250.0}
    assert {view.height_m for view in task.gallery} == {None}
    assert names(task.query[:2], downloaded) == ["drone_view_512/0008/250/0.jpg", "drone_view_512/0008/250/1.jpg"]
    assert all([task.gallery[row].place for row in rows] == [view.place] for view, rows in zip(task.query, task.positives, strict=True))
    back = Sues200(downloaded).task("test-250", "s2d")
    assert (len(back.query), len(back.gallery)) == (80, 200 * 2)
    assert {view.height_m for view in back.gallery} == {250.0}
    assert [len(rows) for rows in back.positives] == [2] * 80


def test_training_knows_only_its_places(downloaded: Path):
    task = Sues200(downloaded).task("train-150", "d2s")
    assert [view.place for view in task.gallery] == list(TRAIN_PLACES)
    assert {view.place for view in task.query} == set(TRAIN_PLACES)


def test_a_split_copy_in_natural_order(few: Path):
    task = Sues200(few).task("test-300", "d2s")
    assert [view.path.name for view in task.query[:11]] == [f"{shot}.jpg" for shot in range(11)]
    assert names(task.gallery, few) == [f"Testing/300/gallery_satellite/{place}/0.png" for place in ("0001", "0002", "0008", "0012")]
    assert [rows.tolist() for rows in task.positives] == [[2]] * 11 + [[3]] * 11


def test_a_whole_download_has_no_findings_and_its_counts(downloaded: Path):
    data = Sues200(downloaded)
    assert findings(data) == []
    assert counts(data)["images of satellite-view"] == (200, 200)
    assert counts(data)["images of drone_view_512 at 150 m"] == (10_000, 400)
    assert len(data.images()) == len({view.path for view in data.images()}) == 200 + 4 * 400


def test_counts_of_a_split_copy(few: Path):
    told = counts(Sues200(few))
    assert told["images of Testing/150/query_drone"] == (4_000, 22)
    assert told["images of Testing/150/gallery_drone"] == (10_000, 44)
    assert told["images of Training/150/drone"] == (6_000, 22)
    assert told["images of Testing/300/gallery_satellite"] == (200, 4)
    listed = names(Sues200(few).images(), few)
    assert len(listed) == len(set(listed)) == len([path for path in few.rglob("*.*g") if path.is_file()])


def test_a_split_copy_that_lacks_places_says_which(few: Path):
    absent = [found.where for found in findings(Sues200(few)) if found.kind == "missing"]
    assert "Testing/150/query_drone/0014" in absent
    assert "Testing/150/gallery_drone/0200" in absent
    assert "Training/150/satellite/0003" in absent
    assert len(absent) == 4 * 2 * (118 + 78 + 196)


def test_another_split_than_the_published_one_is_told_of(tmp_path: Path):
    source = sues200_downloaded(tmp_path / "all", ["0001", "0008"], shots=1)
    split = split_as_published(source, tmp_path / "split", ["0008"], ["0001"])
    told = {found.where for found in findings(Sues200(split)) if found.kind == "split"}
    assert told == {
        f"{folder}/{place}"
        for height in HEIGHTS_M
        for kind in ("drone", "satellite")
        for folder, place in ((f"Training/{height}/{kind}", "0008"), (f"Testing/{height}/query_{kind}", "0001"))
    }


def test_half_a_download(tmp_path: Path):
    root = sues200_downloaded(tmp_path, PLACES[:20], shots=1)
    shutil.rmtree(root / "drone_view_512/0008/150")
    data = Sues200(root)
    with pytest.raises(DataError, match=r"drone_view_512/0008/150: holds no image"):
        data.task("test-150", "d2s")
    with pytest.raises(DataError, match=r"satellite-view/0022: holds no image; unpack or download it again"):
        data.task("test-300", "s2d")
    where = [found.where for found in findings(data)]
    assert where.count("drone_view_512/0021") == 1
    assert "drone_view_512/0008/150" in where
    assert len(where) == 180 + 180 + 1


def test_a_split_copy_without_a_gallery_place(few: Path, tmp_path: Path):
    root = shutil.copytree(few, tmp_path / "copy")
    shutil.rmtree(root / "Testing/150/gallery_satellite/0012")
    with pytest.raises(DataError, match=r"Testing/150/gallery_satellite/0012: is missing, though there are queries"):
        Sues200(root).task("test-150", "d2s")
    shutil.rmtree(root / "Training/200")
    with pytest.raises(DataError, match=r"Training/200/drone: is missing"):
        Sues200(root).task("train-200", "d2s")
    assert "Training/200/drone" in {found.where for found in findings(Sues200(root))}


def test_a_wrong_root_is_told_what_a_right_one_holds(tmp_path: Path):
    put(tmp_path, "150/0001/a.jpg")
    with pytest.raises(
        DataError, match="is not the folder of SUES-200; give the folder that holds Training and Testing and drone_view_512"
    ):
        Sues200(tmp_path).task("test-150", "d2s")
    assert [found.kind for found in findings(Sues200(tmp_path))] == ["missing"]


def test_a_split_without_height(few: Path):
    with pytest.raises(InputError, match="no split 'test'; choose train-150 or train-200"):
        Sues200(few).task("test", "d2s")
