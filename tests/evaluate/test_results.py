from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from crossfix.data.dataset import Task
from crossfix.data.view import View
from crossfix.errors import RunError
from crossfix.evaluate.results import CLEAN, QueryFacts, Results, data_sha256, read_results, write_results


def facts() -> QueryFacts:
    rank = np.array([[1, 7, 2], [3, 1, 90]], np.int32)
    ap = np.array([[1, 0.2, 0.5], [0.3, 1, 0.01]], np.float32)
    return QueryFacts(("q/é.png", "q/b.png", "q/c.png"), ("x", "x", "y"), (CLEAN, "shift=0.1@gallery"), rank, {"AP": ap})


def values() -> dict[str, object]:
    return {
        "format": 1,
        "dataset": "denseuav",
        "split": "test",
        "direction": "d2s",
        "protocol": "denseuav",
        "model": {"name": "m"},
        "paper": {},
        "strict": {"R@1": 1 / 3},
        "intervals95": {"R@1": [0.0, 1.0]},
        "top_percent": {"strict": 2},
        "queries": 3,
        "places": 2,
        "gallery": 100,
        "seed": 0,
        "data_sha256": "d",
        "stress": [{"dial": "shift", "level": 0.1, "side": "gallery", "strict": {"R@1": 0.0}, "intervals95": {"R@1": [0.0, 0.0]}}],
    }


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_results(tmp_path / "run", Results("", values(), facts()))
    return tmp_path / "run"


def test_what_is_written_is_read_back(written: Path):
    for path in (written, written / "results.json"):
        read = read_results(path)
        assert read.values["strict"] == values()["strict"]
        assert (read.facts.image, read.facts.place, read.facts.settings) == (facts().image, facts().place, facts().settings)
        np.testing.assert_array_equal(read.facts.rank_SQ, facts().rank_SQ)
    table = read.facts.table(CLEAN, top_percent=2)
    assert {name: column.tolist() for name, column in table.items() if name != "AP"} == {
        "R@1": [1, 0, 0],
        "R@5": [1, 0, 1],
        "R@10": [1, 1, 1],
        "R@1%": [1, 0, 1],
    }
    assert read.facts.place_number().tolist() == [0, 0, 1]


def test_the_same_results_are_the_same_bytes(written: Path, tmp_path: Path):
    write_results(tmp_path / "again", Results("", values(), facts()))
    for name in ("results.json", "queries.npz"):
        assert (written / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert sorted(path.name for path in written.iterdir()) == ["queries.npz", "results.json"]


def change(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_files_that_do_not_belong_together_are_refused(written: Path, tmp_path: Path):
    other = QueryFacts(**{**facts().__dict__, "rank_SQ": facts().rank_SQ + 1})
    write_results(tmp_path / "other", Results("", values(), other))
    (tmp_path / "other/queries.npz").replace(written / "queries.npz")
    with pytest.raises(RunError, match=r"queries\.npz: is not the one that results\.json was written with; copy both"):
        read_results(written)
    (written / "queries.npz").unlink()
    with pytest.raises(RunError, match=r"there is no queries\.npz beside it"):
        read_results(written)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "cannot be read"),
        ("[]", "holds no results"),
        ('{"metrics": {}}', "holds no results of a benchmark's task; name the data set: --data folder:ROOT"),
        ('{"strict": {}}', "format of an earlier crossfix"),
        ('{"strict": {}, "format": 2}', "has the format 2, and this crossfix reads 1"),
        ('{"strict": {}, "format": 1}', "is damaged"),
    ],
)
def test_what_is_no_results_is_one_sentence(tmp_path: Path, text: str, what: str):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(RunError, match=what):
        read_results(tmp_path)
    with pytest.raises(RunError, match="there is no such file"):
        read_results(tmp_path / "nothing.json")


def test_damaged_fields_are_refused(written: Path):
    path = written / "results.json"
    for changes in ({"model": "m"}, {"top_percent": {}}, {"stress": [{"dial": "shift"}]}, {"queries": "3"}):
        before = path.read_text()
        change(path, **changes)
        with pytest.raises(RunError, match="is damaged"):
            read_results(path)
        path.write_text(before)
    change(path, queries=4)
    with pytest.raises(RunError, match=r"does not fit its results\.json"):
        read_results(path)


def test_python_objects_are_not_unpacked(written: Path):
    import hashlib

    buffer = io.BytesIO()
    np.savez(buffer, image=np.array([{}], dtype=object), place=np.array(["a"]), settings=np.array([CLEAN]), rank=np.ones((1, 1), np.int32))
    (written / "queries.npz").write_bytes(buffer.getvalue())
    change(written / "results.json", files={"queries.npz": hashlib.sha256(buffer.getvalue()).hexdigest()})
    with pytest.raises(RunError, match="cannot be read"):
        read_results(written)


def test_the_digest_of_the_data_knows_names_sizes_and_what_is_right(tmp_path: Path):
    def task(root: Path, sizes: tuple[int, ...] = (1, 2, 3), right: int = 0, turn: bool = False) -> str:
        root.mkdir(exist_ok=True)
        for name, size in zip("abc", sizes, strict=True):
            (root / name).write_bytes(b"x" * size)
        gallery = [View(root / "b", "p"), View(root / "c", "q")]
        rows = [np.array([right])]
        if turn:
            gallery, rows = gallery[::-1], [np.array([1 - right])]
        return data_sha256(Task("d", "test", "d2s", [View(root / "a", "p")], gallery, rows, None, None), root)

    plain = task(tmp_path / "one")
    assert plain == task(tmp_path / "two") == task(tmp_path / "one", turn=True)
    assert len({plain, task(tmp_path / "one", right=1), task(tmp_path / "one", sizes=(1, 2, 4))}) == 3
