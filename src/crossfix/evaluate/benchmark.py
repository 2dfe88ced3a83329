"""Measuring a model on a benchmark folder: describe every image, score, say where the results come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossfix.data.folder import Folder
from crossfix.disk import write_json
from crossfix.errors import DataError
from crossfix.evaluate.describe import describe_task
from crossfix.evaluate.measurable import Measurable
from crossfix.evaluate.retrieval import evaluate_pairs
from crossfix.evaluate.task import Report
from crossfix.train.folder import RunFolder, environment


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
    benchmark = Folder(folder).task()
    config = {"model": model.model_id, "model_sha256": model.sha256, "data": str(folder.resolve()), "seed": seed}
    run = None if out is None else RunFolder(out, config)
    query_QRD, gallery_GD = describe_task(model, benchmark, progress)
    query_place, gallery_place = ([view.place for view in views] for views in (benchmark.query, benchmark.gallery))
    try:
        scores = evaluate_pairs(query_QRD, query_place, gallery_GD, gallery_place, seed=seed)
    except DataError as error:
        raise DataError(f"{error.where}: {error.what}", where=folder, mend=error.mend) from error
    results = {
        **scores.to_dict(),
        "protocol": "strict",
        "model": {"name": model.model_id, "sha256": model.sha256, "dim": model.dim},
        "data": str(folder),
        "seed": seed,
        "environment": environment(),
    }
    if run is not None:
        write_json(run.path / "results.json", results)
    return results
