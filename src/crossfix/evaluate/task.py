"""Measuring a model on a benchmark's task: describe every image once, score by the set's own protocol and strictly.

Axes: Q queries, G gallery images, R descriptors a query, D entries, P ids a query.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from crossfix.data.dataset import Dataset, Direction, Rows, Task
from crossfix.data.view import View
from crossfix.errors import InputError
from crossfix.evaluate.arrays import DescriptorSet
from crossfix.evaluate.describe import describe_task
from crossfix.evaluate.examples import Example, pick
from crossfix.evaluate.measurable import Measurable
from crossfix.evaluate.protocols import OWN, find_protocol
from crossfix.evaluate.results import CLEAN, FORMAT, RESULTS, Record, Results, data_sha256, write_results
from crossfix.evaluate.score import Scored, Side, check_right, right_rows, score
from crossfix.evaluate.stress import Setting, settings, sweep
from crossfix.train.folder import RunFolder, environment

Report = Callable[[int, int], None]


def score_task(
    task: Task,
    query_QRD: npt.NDArray[np.float32],
    gallery_GD: npt.NDArray[np.float32],
    *,
    only: Side | None = None,
    seed: int = 0,
    progress: Report | None = None,
) -> Scored:
    """Score a task's descriptors by its own protocol, and strictly; a task without a protocol strictly alone.

    Raises:
        DataError: where they cannot be scored, see `crossfix.evaluate.score`.
    """
    queries, gallery = described(task, query_QRD, gallery_GD)
    if task.protocol is None:
        return score(queries, gallery, OWN, only="strict", seed=seed, progress=progress)
    return score(queries, gallery, task.protocol, only=only, seed=seed, progress=progress)


@dataclass(frozen=True)
class Measured:
    """A model measured on a task.

    Attributes:
        task: the task.
        root: of the data set.
        results: the scores and where they come from, and every query's facts.
        best: queries that went best, where examples were wanted.
        worst: those that went worst, by key of the setting.
    """

    task: Task
    root: Path
    results: Results
    best: list[Example]
    worst: dict[str, list[Example]]


def evaluate_dataset(
    model: Measurable,
    dataset: Dataset,
    split: str,
    direction: Direction,
    *,
    protocol: str | None = None,
    stress: Sequence[str] = (),
    out: Path | None = None,
    seed: int = 0,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Describe the images of a task with a model, and score them: the values of ``measure_dataset``, which see."""
    measured = measure_dataset(model, dataset, split, direction, protocol=protocol, stress=stress, out=out, seed=seed, progress=progress)
    return measured.results.values


def measure_dataset(
    model: Measurable,
    dataset: Dataset,
    split: str,
    direction: Direction,
    *,
    protocol: str | None = None,
    stress: Sequence[str] = (),
    out: Path | None = None,
    seed: int = 0,
    examples: int = 0,
    progress: Report | None = None,
) -> Measured:
    """Describe the images of a task with a model, and score them.

    Args:
        model: what describes the images.
        dataset: a copy of a data set.
        split: of it.
        direction: of the task.
        protocol: published protocol by which ``paper`` is scored, in place of the set's own: papers on one set differ in theirs.
        stress: dials, or groups of them, to score under besides, see `crossfix.evaluate.stress`.
        out: a folder for ``results.json``, ``queries.npz``, ``config.json`` and ``environment.json``; None writes nothing.
        seed: of the bootstrap and of the dials.
        examples: how many of the best and of the worst queries to keep; half as many of the worst of each setting.
        progress: told the images described and all of them.

    Returns:
        Its ``results.values`` are JSON values: data set, split, direction, protocol, ``paper`` and ``strict`` scores with ``intervals95``,
        counts, digest of the data, model and its hash, versions, seed; under ``stress`` a list of what each dial at each level makes of
        both sides' scores.

    Raises:
        InputError: for a split or direction that the data set does not have, or a protocol that tells right from wrong by something else.
        DataError: where the copy is not whole, an image cannot be read, or the descriptors cannot be scored.
        RunError: where ``out`` holds results of something else.
        DiskError: where ``out`` cannot be written.
    """
    task = dataset.task(split, direction)
    if protocol is not None:
        task = _by_protocol(task, protocol)
    blank_Q1, blank_G1 = (np.ones((len(views), 1), np.float32) for views in (task.query, task.gallery))
    check_right(*described(task, blank_Q1, blank_G1), task.protocol or OWN)  # describing them all may take hours
    asked: dict[str, Any] = {"dataset": dataset.name, "split": split, "direction": direction}
    asked |= {"data": str(dataset.root.resolve()), "seed": seed}
    wanted = settings(stress, task)
    if protocol is not None:
        asked["protocol"] = protocol
    if stress:
        asked["stress"] = list(stress)
    run = None if out is None else RunFolder(out, {"model": model.model_id, "model_sha256": model.sha256, **asked})
    plain = len(task.query) + len(task.gallery)
    total = plain + sum(len(task.query if one.side == "query" else task.gallery) for one in wanted)
    record = Record(task, dataset.root)
    worst: dict[str, list[Example]] = {}

    def scores(setting: Setting, query_QRD: npt.NDArray[np.float32], gallery_GD: npt.NDArray[np.float32]) -> dict[str, Any]:
        found = score_task(task, query_QRD, gallery_GD, seed=seed)
        record.add(setting.key, found.strict_Q)
        if examples:
            worst[setting.key] = _examples(task, query_QRD, gallery_GD, found, "worst", (examples + 1) // 2)
        return {"paper": found.paper, "strict": found.strict, "intervals95": found.intervals95}

    query_QRD, gallery_GD = describe_task(model, task, progress, total=total)
    scored = score_task(task, query_QRD, gallery_GD, seed=seed)
    record.add(CLEAN, scored.strict_Q)
    best: list[Example] = []
    if examples:
        best = _examples(task, query_QRD, gallery_GD, scored, "best", examples)
        worst[CLEAN] = _examples(task, query_QRD, gallery_GD, scored, "worst", examples)
    values = {
        "format": FORMAT,
        **asked,
        **scored.to_dict(),
        "data_sha256": data_sha256(task, dataset.root),
        "model": {"name": model.model_id, "sha256": model.sha256, "dim": model.dim},
        "environment": environment(),
    }
    if wanted:
        values["stress_words"] = list(stress)
        values["stress"] = sweep(
            model,
            task,
            dataset.root,
            wanted,
            query_QRD,
            gallery_GD,
            scores,
            seed=seed,
            progress=None if progress is None else lambda done, _: progress(plain + done, total),
        )
    results = Results("the new results" if run is None else str(run.path / RESULTS), values, record.facts())
    if run is not None:
        results = replace(results, values=write_results(run.path, results))
    return Measured(task, dataset.root, results, best, worst)


def _by_protocol(task: Task, name: str) -> Task:
    """The task with another published protocol."""
    mend = "leave it out"
    if task.protocol is None:
        raise InputError("no published protocol is for images of one's own", where=name, mend=mend)
    if find_protocol(name).right != find_protocol(task.protocol).right:
        raise InputError(f"tells right from wrong in another way than {task.protocol}, this set's own", where=name, mend=mend)
    return replace(task, protocol=name)


def _examples(
    task: Task,
    query_QRD: npt.NDArray[np.float32],
    gallery_GD: npt.NDArray[np.float32],
    scored: Scored,
    which: Literal["best", "worst"],
    count: int,
) -> list[Example]:
    queries, gallery = described(task, query_QRD, gallery_GD)
    return pick(queries, gallery, right_rows(queries, gallery, scored.protocol), scored.strict_Q["rank"], which, count)


def described(task: Task, query_QRD: npt.NDArray[np.float32], gallery_GD: npt.NDArray[np.float32]) -> tuple[DescriptorSet, DescriptorSet]:
    """A task's descriptors with what its protocol has to know: ids of places, positions, positives.

    Where a protocol goes by ids, they number the places; where it goes by lists of positives, gallery images have ids of their own.
    """
    rules = find_protocol(task.protocol or OWN)
    names = {place: number for number, place in enumerate(dict.fromkeys(view.place for view in (*task.gallery, *task.query)))}
    query_id_Q, gallery_id_G = (np.array([names[view.place] for view in views]) for views in (task.query, task.gallery))
    lists: dict[str, npt.NDArray[np.int64]] = {}
    if rules.right == "positives":
        gallery_id_G = np.arange(len(task.gallery))
        lists["positives"] = _padded(task.positives, gallery_id_G)
    if task.semi_positives is not None:
        lists["semi_positives"] = _padded(task.semi_positives, gallery_id_G)
    where = f"{task.dataset} {task.split} {task.direction}"
    return (
        DescriptorSet(f"{where} queries", query_QRD, query_id_Q, **_positions(task.query), **lists),
        DescriptorSet(f"{where} gallery", gallery_GD, gallery_id_G, **_positions(task.gallery)),
    )


def _positions(views: Sequence[View]) -> dict[str, npt.NDArray[np.float64]]:
    """The positions that all views have."""
    found = {}
    if all(view.lon is not None and view.lat is not None for view in views):
        found["lonlat"] = np.array([(view.lon, view.lat) for view in views], np.float64)
    if all(view.xy_m is not None for view in views):
        found["xy_m"] = np.array([view.xy_m for view in views], np.float64)
    return found


def _padded(rows: Sequence[Rows], id_G: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Lists of gallery rows as a table of ids, padded with -1, (Q, P)."""
    table_QP = np.full((len(rows), max(1, max(map(len, rows), default=0))), -1, np.int64)
    for line, found in zip(table_QP, rows, strict=True):
        line[: len(found)] = id_G[found]
    return table_QP


def first_test_split(dataset: Dataset) -> str:
    """The split that is meant where none is named: the first with test in its name, or the first of all where none is called so."""
    return next((known for known in dataset.splits if "test" in known.split("-")), dataset.splits[0])
