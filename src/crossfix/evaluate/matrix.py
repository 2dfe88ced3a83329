"""The transfer table: models trained on each of several data sets, by data sets they are tested on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossfix.data.dataset import Dataset, Direction
from crossfix.data.places import check_asked
from crossfix.disk import write_json
from crossfix.errors import InputError
from crossfix.evaluate.measurable import Measurable
from crossfix.evaluate.task import evaluate_dataset
from crossfix.train.folder import RunFolder

Report = Callable[[int, int], None]
_KEPT = ("paper", "strict", "intervals95", "queries", "places", "gallery")


@dataclass(frozen=True)
class Column:
    """What models are tested on.

    Attributes:
        label: of the column.
        dataset: the copy.
        split: of it.
        direction: of the task.
    """

    label: str
    dataset: Dataset
    split: str
    direction: Direction


def transfer_matrix(
    models: Sequence[Measurable],
    columns: Sequence[Column],
    *,
    needed: str = "R@1",
    out: Path | None = None,
    seed: int = 0,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Measure every model on every data set.

    Where there are as many models as data sets, model n counts as trained on data set n: each cell then also says which share it is of the
    column's own model, so that a data set that is hard for everybody is told from one that is another world.

    Args:
        models: the rows.
        columns: the columns.
        needed: a strict metric that the first cell must have: a wrong name is told before the others are measured.
        out: a folder that keeps each cell as it is measured, so that a killed run goes on, and ``results.json``; None keeps nothing.
        seed: of the bootstrap.
        progress: told the cells done and all of them.

    Returns:
        JSON values: ``rows`` (model and sha256 each), ``columns``, ``paired`` (whether the diagonal is each set's own model), and ``cells``
        by row and column, each with ``strict`` and ``paper`` scores, ``intervals95`` and, where paired, ``share`` of the own model's R@1
        (None where that is 0).

    Raises:
        InputError: where there is nothing to measure, two columns bear one label, a data set has no such split or direction, or there is
            no such metric.
        DataError: where a copy is not whole or cannot be scored.
        RunError: where ``out`` holds something else.
    """
    if not models or not columns:
        raise InputError("a transfer table needs models and data sets", mend="give --model and --data, each as often as needed")
    labels = [column.label for column in columns]
    if len(set(labels)) < len(labels):
        raise InputError("two columns are the same", where=", ".join(labels), mend="give each data set, split and direction once")
    for column in columns:  # the last one's mistake is not to be told of after hours
        check_asked(column.dataset, column.split, column.direction)
    asked = {
        "models": [{"name": model.model_id, "sha256": model.sha256} for model in models],
        "columns": [
            {"data": f"{one.dataset.name}:{one.dataset.root.resolve()}", "split": one.split, "direction": one.direction} for one in columns
        ],
        "seed": seed,
    }
    run = None if out is None else RunFolder(out, asked)
    total, known = len(models) * len(columns), []
    if run is not None:
        run.cut_log(total)  # a half-written last line
        known = run.read_log()
    cells: list[list[dict[str, Any]]] = [[] for _ in models]
    for number in range(total):
        row, column = number // len(columns), columns[number % len(columns)]
        if number == len(known):
            done = evaluate_dataset(models[row], column.dataset, column.split, column.direction, seed=seed)
            known.append({"step": number + 1, **{name: done[name] for name in _KEPT}})
            if run is not None:
                run.log(known[number])
        if needed not in known[0]["strict"]:
            raise InputError(f"there is no metric {needed!r}", where="--metric", mend=f"choose one of {', '.join(known[0]['strict'])}")
        cells[row].append({name: known[number][name] for name in _KEPT})
        if progress is not None:
            progress(number + 1, total)
    paired = len(models) == len(columns)
    if paired:
        for line in cells:
            for number, cell in enumerate(line):
                own = cells[number][number]["strict"]["R@1"]
                cell["share"] = cell["strict"]["R@1"] / own if own else None
    results = {"rows": asked["models"], "columns": labels, "paired": paired, "seed": seed, "cells": cells}
    if run is not None:
        write_json(run.path / "results.json", results)
    return results
