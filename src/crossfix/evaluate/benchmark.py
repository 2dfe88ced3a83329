"""Measuring a model on a benchmark folder or a bank of world pairs: describe every image, score, say where the results come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from crossfix.data.folder import read_folder
from crossfix.errors import DataError
from crossfix.evaluate.baselines import BASELINES, RotatedHog
from crossfix.evaluate.retrieval import evaluate_pairs
from crossfix.models.registry import load
from crossfix.train.files import write_json
from crossfix.train.folder import RunFolder, environment
from crossfix.worlds.pairs import SATELLITE_MARGIN, PairBank

Report = Callable[[int, int], None]
Describe = Callable[[list[npt.NDArray[np.uint8]]], npt.NDArray[np.float32]]
Image = tuple[str, Callable[[], npt.NDArray[np.uint8]]]  # its place, and how to read it
_BATCH = 64


class Measurable(Protocol):
    """What is measured: a `models.describe.Describer` or a baseline."""

    @property
    def model_id(self) -> str: ...  # noqa: D102
    @property
    def sha256(self) -> str: ...  # noqa: D102
    @property
    def dim(self) -> int: ...  # noqa: D102
    def describe(self, images: list[npt.NDArray[np.uint8]], /) -> npt.NDArray[np.float32]: ...  # noqa: D102


def open_measurable(name: str) -> Measurable:
    """A model by its name or folder, or one of the baselines ``colour-histogram`` and ``rotated-hog``.

    Raises:
        ModelError: where there is no such model.
    """
    return BASELINES[name]() if name in BASELINES else load(name)


def evaluate_folder(
    model: Measurable, folder: Path, *, out: Path | None = None, seed: int = 0, progress: Report | None = None
) -> dict[str, Any]:
    """Measure a model on ``query/<place>/`` and ``gallery/<place>/`` folders under the strict protocol of :mod:`.retrieval`.

    Args:
        model: what describes the images.
        folder: the benchmark.
        out: a folder for ``results.json``, ``config.json`` and ``environment.json``; None writes nothing.
        seed: of the bootstrap.
        progress: told the images described and all of them.

    Returns:
        The results: metrics with 95 % intervals, counts, model and its hash, data folder, versions, seed.

    Raises:
        DataError: where the folder is not laid out so, an image cannot be read, or the descriptors cannot be scored.
        RunError: where ``out`` holds results of another model, folder or seed.
        DiskError: where ``out`` cannot be written.
    """
    benchmark = read_folder(folder)
    config = {"model": model.model_id, "model_sha256": model.sha256, "data": str(folder.resolve()), "seed": seed}
    run = None if out is None else RunFolder(out, config)
    query, gallery = ([(view.place, view.read) for view in views] for views in (benchmark.query, benchmark.gallery))
    results = _measure(model, query, gallery, str(folder), seed, progress)
    if run is not None:
        write_json(run.path / "results.json", results)
    return results


def evaluate_bank(model: Measurable, folder: Path, *, seed: int = 0, progress: Report | None = None) -> dict[str, Any]:
    """Measure a model on a bank of world pairs: every drone view against the north-up chips of all places on the first epoch.

    Args:
        model: what describes the images.
        folder: a finished bank, see `worlds.pairs`.
        seed: of the bootstrap.
        progress: told the images described and all of them.

    Returns:
        The results as :func:`evaluate_folder` gives them.

    Raises:
        DataError: where there is no bank, or the descriptors cannot be scored.
    """
    bank = PairBank.open(folder)
    stored = bank.satellite.shape[2]
    side = round(stored / SATELLITE_MARGIN)
    edge = (stored - side) // 2
    chip = slice(edge, edge + side)
    gallery = [(str(row), partial(np.array, bank.satellite[row, 0, chip, chip])) for row in range(len(bank))]
    query = [(str(row), partial(np.array, bank.drone[row, view])) for row in range(len(bank)) for view in range(bank.drone.shape[1])]
    return _measure(model, query, gallery, str(folder), seed, progress)


def _measure(
    model: Measurable, query: Sequence[Image], gallery: Sequence[Image], data: str, seed: int, progress: Report | None
) -> dict[str, Any]:
    total = len(query) + len(gallery)
    describe_query: Describe = model.describe_turned if isinstance(model, RotatedHog) else model.describe
    gallery_GD = _describe(gallery, model.describe, 0, total, progress)
    query_desc = _describe(query, describe_query, len(gallery), total, progress)
    try:
        scores = evaluate_pairs(query_desc, [place for place, _ in query], gallery_GD, [place for place, _ in gallery], seed=seed)
    except DataError as error:
        raise DataError(f"{error.where}: {error.what}", where=data, mend=error.mend) from error
    return {
        **scores.to_dict(),
        "protocol": "strict",
        "model": {"name": model.model_id, "sha256": model.sha256, "dim": model.dim},
        "data": data,
        "seed": seed,
        "environment": environment(),
    }


def _describe(images: Sequence[Image], describe: Describe, before: int, total: int, progress: Report | None) -> npt.NDArray[np.float32]:
    parts = []
    for begin in range(0, len(images), _BATCH):
        batch = images[begin : begin + _BATCH]
        parts.append(describe([read() for _, read in batch]))
        if progress is not None:
            progress(before + begin + len(batch), total)
    return np.concatenate(parts)
