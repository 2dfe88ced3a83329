"""What an evaluation leaves behind: ``results.json`` with the scores and their origin, and ``queries.npz`` with every query's facts.

The second is what two evaluations are compared by, query by query. Its digest stands in the first, which is written last: a pair of files
that do not belong together is refused.

Axes: S settings (the pictures as they are, then each of the stress), Q queries, M metrics.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.data.dataset import Task
from crossfix.disk import read_npz, sha256, write_bytes, write_json
from crossfix.errors import RunError
from crossfix.evaluate.stress import Setting, image_id

FORMAT = 1
RESULTS, QUERIES = "results.json", "queries.npz"
CLEAN = "clean"
"""Key of the setting in which the pictures are as they are."""

_AGAIN = "evaluate again with crossfix evaluate -o DIR"
_NEEDED: dict[str, type | tuple[type, ...]] = {
    "dataset": str,
    "split": str,
    "direction": str,
    "protocol": str,
    "model": dict,
    "paper": dict,
    "strict": dict,
    "intervals95": dict,
    "top_percent": dict,
    "queries": int,
    "places": int,
    "gallery": int,
    "seed": int,
    "files": dict,
}
_FOLLOWS = ("R@1", "R@5", "MA@")  # from the rank, and from the distance of the first image

Table = dict[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class QueryFacts:
    """What became of every query in every setting, strictly.

    Attributes:
        image: how each query is known, all different.
        place: the place each shows; intervals resample these.
        settings: key of each setting, ``CLEAN`` first.
        rank_SQ: rank of the best positive, from 1, int32.
        other_SQ: by metric, float32, what does not follow from the rank or from the distance of the first image.
    """

    image: tuple[str, ...]
    place: tuple[str, ...]
    settings: tuple[str, ...]
    rank_SQ: npt.NDArray[np.int32]
    other_SQ: Mapping[str, npt.NDArray[np.float32]]

    def table(self, setting: str, top_percent: int) -> Table:
        """Every query's score by metric in a setting, (Q,) each: R@K, and what else was kept.

        Args:
            setting: one of ``settings``.
            top_percent: how many images R@1% looks at.
        """
        row = self.settings.index(setting)
        rank_Q = self.rank_SQ[row]
        tops = {"R@1": 1, "R@5": 5, "R@10": 10, "R@1%": top_percent}
        table = {name: (rank_Q <= top).astype(np.float64) for name, top in tops.items()}
        return table | {name: array_SQ[row].astype(np.float64) for name, array_SQ in self.other_SQ.items()}

    def place_number(self) -> npt.NDArray[np.int64]:
        """Number of each query's place, (Q,)."""
        return np.unique(np.array(self.place), return_inverse=True)[1].astype(np.int64)


class Record:
    """Gathers the facts of the queries, setting by setting.

    Args:
        task: whose queries.
        root: of the data set.
    """

    def __init__(self, task: Task, root: Path) -> None:
        self._image = _unlike([image_id(view, root) for view in task.query])
        self._place = tuple(view.place for view in task.query)
        self._rows: dict[str, Table] = {}

    def add(self, setting: str, strict_Q: Mapping[str, npt.NDArray[np.float64]]) -> None:
        """Keep a setting's ``Scored.strict_Q``."""
        self._rows[setting] = {name: column for name, column in strict_Q.items() if "<" in name or not name.startswith(_FOLLOWS)}

    def facts(self) -> QueryFacts:
        """All of them."""
        rows = list(self._rows.values())
        names = [name for name in rows[0] if name != "rank"]
        rank_SQ = np.stack([row["rank"] for row in rows]).astype(np.int32)
        other_SQ = {name: np.stack([row[name] for row in rows]).astype(np.float32) for name in names}
        return QueryFacts(self._image, self._place, tuple(self._rows), rank_SQ, other_SQ)


@dataclass(frozen=True)
class Results:
    """An evaluation that has been written, or is about to be.

    Attributes:
        where: its file, or a word for one that has none.
        values: what ``results.json`` holds.
        facts: what ``queries.npz`` holds.
    """

    where: str
    values: dict[str, Any]
    facts: QueryFacts


def data_sha256(task: Task, root: Path) -> str:
    """Digest of what was asked: which images, of how many bytes, with which of the gallery right for which query; in any order.

    Two copies of a data set have the same, whatever their folders are called; two sets with the same names have not.
    """
    gallery = [image_id(view, root) for view in task.gallery]
    lines = [f"g {name} {_bytes(view.path)}" for name, view in zip(gallery, task.gallery, strict=True)]
    for name, view, rows in zip(_unlike([image_id(view, root) for view in task.query]), task.query, task.positives, strict=True):
        lines.append(f"q {name} {view.place} {_bytes(view.path)} {' '.join(sorted(gallery[row] for row in rows))}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def write_results(folder: Path, results: Results) -> dict[str, Any]:
    """Write both files, each atomically.

    Returns:
        What ``results.json`` holds.

    Raises:
        DiskError: where the folder cannot be written.
    """
    facts = results.facts
    buffer = io.BytesIO()
    names = {"image": np.array(facts.image), "place": np.array(facts.place), "settings": np.array(facts.settings)}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in {**names, "rank": facts.rank_SQ, **{f"m {name}": array for name, array in facts.other_SQ.items()}}.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            # numpy.savez stamps the time: the same evaluation shall give the same bytes
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), member.getvalue(), zipfile.ZIP_DEFLATED)
    content = buffer.getvalue()
    write_bytes(folder / QUERIES, content)
    values = {**results.values, "files": {QUERIES: hashlib.sha256(content).hexdigest()}}
    write_json(folder / RESULTS, values)
    return values


def read_results(path: Path) -> Results:
    """Read an evaluation back.

    Args:
        path: its ``results.json``, or the folder that holds it.

    Raises:
        RunError: where there is none, it is damaged or of another version, or its ``queries.npz`` is missing or another's.
    """
    path = path / RESULTS if path.is_dir() else path
    if not path.is_file():
        raise RunError("there is no such file", where=path, mend="give the results.json that crossfix evaluate -o DIR has written")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"cannot be read ({error})", where=path, mend=_AGAIN) from error
    if not isinstance(values, dict) or "strict" not in values:
        mend = "name the data set: --data folder:ROOT" if isinstance(values, dict) and "metrics" in values else _AGAIN
        raise RunError("holds no results of a benchmark's task", where=path, mend=mend)
    if values.get("format") != FORMAT:
        what = f"has the format {values.get('format', 'of an earlier crossfix')}, and this crossfix reads {FORMAT}"
        raise RunError(what, where=path, mend=_AGAIN)
    wrong = [name for name, kind in _NEEDED.items() if not isinstance(values.get(name), kind)]
    if wrong or not isinstance(values["model"].get("name"), str) or not isinstance(values["top_percent"].get("strict"), int):
        raise RunError(f"is damaged ({', '.join(wrong) or 'model, top_percent'})", where=path, mend=_AGAIN)
    beside = path.with_name(QUERIES)
    if not beside.is_file():
        raise RunError(f"there is no {QUERIES} beside it, by which queries are paired", where=path, mend=f"copy both files, or {_AGAIN}")
    if sha256(beside) != values["files"].get(QUERIES):
        raise RunError(f"is not the one that {RESULTS} was written with", where=beside, mend=f"copy both files, or {_AGAIN}")
    facts = _read_facts(beside)
    try:
        settings = (CLEAN, *(key_of(row) for row in values.get("stress", ())))
    except (KeyError, TypeError, ValueError) as error:
        raise RunError("is damaged (stress)", where=path, mend=_AGAIN) from error
    if len(facts.image) != values["queries"] or facts.settings != settings:
        raise RunError(f"does not fit its {RESULTS}", where=beside, mend=_AGAIN)
    return Results(str(path), values, facts)


def key_of(row: Mapping[str, Any]) -> str:
    """Key of the setting that a row under ``stress`` tells of."""
    return Setting(row["dial"], float(row["level"]), row["side"]).key


def _read_facts(path: Path) -> QueryFacts:
    try:
        arrays = read_npz(path)
        image, place, settings = (tuple(str(word) for word in arrays[name]) for name in ("image", "place", "settings"))
        rank_SQ = arrays["rank"].astype(np.int32)
        other_SQ = {name.removeprefix("m "): array.astype(np.float32) for name, array in arrays.items() if name.startswith("m ")}
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise RunError(f"cannot be read ({error})", where=path, mend=_AGAIN) from error
    shape = (len(settings), len(image))
    if len(place) != shape[1] or len(set(image)) != shape[1] or any(array.shape != shape for array in (rank_SQ, *other_SQ.values())):
        raise RunError("its arrays do not fit each other", where=path, mend=_AGAIN)
    return QueryFacts(image, place, settings, rank_SQ, other_SQ)


def _unlike(names: Sequence[str]) -> tuple[str, ...]:
    """The names, a number added to those that came before."""
    seen: dict[str, int] = {}
    unlike = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unlike.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return tuple(unlike)


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1  # reading it will say more
