"""The laboratory's examination: worlds-v1 under every condition, part by part.

Axes: Q queries, R descriptors a query, G gallery images, D entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.data.dataset import Direction
from crossfix.data.stress.dials import stress
from crossfix.data.stress.geometry import turned_panorama
from crossfix.data.stress.weather import CONDITIONS
from crossfix.data.view import View
from crossfix.data.worldsv1 import DRONE_CONDITIONS, TESTS, WorldsV1
from crossfix.disk import write_json
from crossfix.evaluate.describe import describe_views, prepare_of
from crossfix.evaluate.measurable import Describe, Measurable
from crossfix.evaluate.stress import FIELDS_OF_VIEW, PUBLISHED_WEATHER
from crossfix.evaluate.task import score_task
from crossfix.train.files import read_json
from crossfix.train.folder import RunFolder, environment

STRESSED = ("seen", "far")
"""Parts that are measured under weather, limited views, misalignment and occlusion as well: both ends of the scale."""
ALL_HEIGHTS = "all heights"
NORTH = "panorama, north known"
"""Panoramas turned until they show north in the middle: what a compass, or a benchmark whose panoramas all face north, spares a model."""
ORACLES = "oracles"
"""Folder in the laboratory where the trials of that claim are kept."""
_CLEAR = "normal"
_STRESS_HEIGHT = "150m"
_FIELDS = (("fov", 180.0), ("fov", 90.0), ("fov", 70.0), ("perspective", 90.0))
_SHIFTS = (0.1, 0.3, 0.5)
_HIDDEN = (0.2, 0.4)
_HEADLINES = (*TESTS, "unseen", "later", "weather", "misaligned", "hidden", "ground", "limited view")
_KEPT = ("R@1", "R@5", "R@10", "AP")

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Condition:
    """One row of the examination.

    Attributes:
        part: of worlds-v1.
        name: what is different.
        split: of the data set.
        direction: of the task.
        dial: a stress that is put on one half, with its level; None for none.
        level: of the dial.
    """

    part: str
    name: str
    split: str
    direction: Direction
    dial: str | None = None
    level: float = 0.0

    @property
    def on_gallery(self) -> bool:
        """Whether the dial turns the gallery, not the queries."""
        return self.dial == "shift"


def conditions() -> list[Condition]:
    """The examination, in its order: 72 conditions."""
    found: list[Condition] = []
    for part in TESTS:
        found.append(Condition(part, ALL_HEIGHTS, part, "d2s"))
        found += [Condition(part, name, f"{part}-{name}", "d2s") for name in DRONE_CONDITIONS]
        found += [Condition(part, "map to drone", f"{part}-{_STRESS_HEIGHT}", "s2d")]
        found += [Condition(part, name, part, "g2s") for name in ("panorama", NORTH)]
        if part not in STRESSED:
            continue
        split = f"{part}-{_STRESS_HEIGHT}"
        weathers = [name for name in CONDITIONS if name != _CLEAR]
        found += [Condition(part, name, split, "d2s", f"weather-{name}", PUBLISHED_WEATHER) for name in weathers]
        found += [Condition(part, f"off by {100 * level:.0f} %", split, "d2s", "shift", level) for level in _SHIFTS]
        found += [Condition(part, f"hidden {100 * level:.0f} %", split, "d2s", "blob", level) for level in _HIDDEN]
        found += [Condition(part, f"{dial} {level:.0f} deg", part, "g2s", dial, level) for dial, level in _FIELDS]
    return found


def run_lab(
    model: Measurable,
    root: Path,
    *,
    only: Sequence[Condition] | None = None,
    out: Path | None = None,
    seed: int = 0,
    progress: Report | None = None,
) -> dict[str, Any]:
    """Measure a model under all conditions; goes on where it was killed.

    Args:
        model: what describes the images.
        root: folder of worlds-v1.
        only: some of the conditions; the summary is then of these.
        out: a folder for what was measured; None keeps nothing.
        seed: of the stresses and the bootstrap.
        progress: told the conditions done and all of them.

    Returns:
        JSON values: ``model``, ``environment``, ``rows`` and ``summary``. A row holds its condition, counts, strict scores, 95 % intervals
        over places, and ``first``: a character for each query in the task's order, 1 where a right image came first.

    Raises:
        DataError: where the laboratory is not whole.
        RunError: where ``out`` holds another model's results.
        DiskError: where ``out`` cannot be written.
    """
    lab = WorldsV1(root)
    asked = {"model": model.model_id, "model_sha256": model.sha256, "lab": lab.name, "lab_sha256": fingerprint(root), "seed": seed}
    run = None if out is None else RunFolder(out, asked)
    every = conditions() if only is None else list(only)
    done: dict[str, dict[str, Any]] = {}
    if run is not None:
        run.cut_log(len(conditions()))  # a half-written last line
        done = {row["key"]: row for row in run.read_log()}
    rows: list[dict[str, Any]] = []
    examiner = _Examiner(model, lab, seed)
    for condition in every:
        key = f"{condition.part}/{condition.name}"
        if key not in done:
            row = {"step": len(rows) + 1, "key": key, **asdict(condition), **examiner.measure(condition)}
            if run is not None:
                run.log(row)
            done[key] = row
        rows.append({name: value for name, value in done[key].items() if name not in ("step", "key")})
        if progress is not None:
            progress(len(rows), len(every))
    results = {**asked, "model": {"name": model.model_id, "sha256": model.sha256, "dim": model.dim}, "environment": environment()}
    results |= {"rows": rows, "summary": summary(rows)}
    if run is not None:
        write_json(run.path / "results.json", results)
    return results


def fingerprint(root: Path) -> str:
    """Digest of the laboratory's tables, which name every image and camera: small and full differ, and so do versions.

    Raises:
        DataError: where it is not whole.
    """
    digest = hashlib.sha256()
    lab = WorldsV1(root)
    for part in TESTS:
        digest.update(lab.table(part).read_bytes())
    return digest.hexdigest()


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Means of R@1 (fractions of 1) that are worth a headline.

    ``seen``, ``near``, ``middle``, ``far``: all heights; ``unseen``: mean of the last three, the number by which generalisation is judged;
    ``later``, ``ground``: mean over all parts; ``weather``, ``limited view``, ``misaligned``, ``hidden``: mean over both stressed parts.
    """
    found = {(row["part"], row["name"]): float(row["strict"]["R@1"]) for row in rows}
    means: dict[str, list[float]] = {}
    for row in rows:
        value = found[row["part"], row["name"]]
        if row["name"] == ALL_HEIGHTS:
            means.setdefault(row["part"], []).append(value)
            if row["part"] != "seen":
                means.setdefault("unseen", []).append(value)
        group = {"later": "later", "panorama": "ground", "shift": "misaligned", "blob": "hidden", "fov": "limited view"}
        group["perspective"] = group["fov"]
        key = row["dial"] or row["name"]
        name = "weather" if key.startswith("weather-") else group.get(key)
        if name is not None:
            means.setdefault(name, []).append(value)
    return {name: float(np.mean(means[name])) for name in _HEADLINES if name in means}


def oracle_scores(root: Path) -> dict[str, float]:
    """R@1 over all heights of the lab's reference network in each part, trained on the part's own style, as fractions of 1.

    They are there where ``crossfix lab reproduce oracles --root ROOT -o ROOT/oracles`` was run, else there are none.

    Args:
        root: folder of worlds-v1.

    Raises:
        RunError: where they are damaged.
    """
    path = root / ORACLES / "results.json"
    if not path.exists():
        return {}
    table = read_json(path)["table"]
    return {part: float(table[part][part]["value"]) for part in TESTS if part in table.get(part, {})}


class _Examiner:
    """Describes every image once a part, and scores conditions as rows of that."""

    def __init__(self, model: Measurable, lab: WorldsV1, seed: int) -> None:
        self.model, self.lab, self.seed = model, lab, seed
        self._part = ""
        self._known: dict[tuple[str, Path], npt.NDArray[np.float32]] = {}

    def measure(self, condition: Condition) -> dict[str, Any]:
        """Scores and intervals of a condition."""
        if condition.part != self._part:
            self._part = condition.part
            self._known.clear()
        task = self.lab.task(condition.split, condition.direction)
        query_QRD = self._described(task.query, "query", None if condition.on_gallery else condition)
        gallery_GD = self._described(task.gallery, "gallery", condition if condition.on_gallery else None)
        scored = score_task(task, query_QRD, gallery_GD, only="strict", seed=self.seed)
        counts = {"queries": len(task.query), "places": scored.places, "gallery": len(task.gallery)}
        kept = [name for name in _KEPT if name in scored.strict]
        first = "".join("1" if rank == 1 else "0" for rank in scored.strict_Q["rank"])
        strict, interval = ({name: values[name] for name in kept} for values in (scored.strict, scored.intervals95))
        return {**counts, "strict": strict, "intervals95": interval, "first": first}

    def _described(self, views: Sequence[View], half: str, condition: Condition | None) -> npt.NDArray[np.float32]:
        describe: Describe = self.model.describe_query if half == "query" else self.model.describe
        prepare = prepare_of(self.model)
        if condition is not None and condition.name == NORTH:
            return describe_views(views, describe, change=_facing_north, prepare=prepare)
        if condition is not None and condition.dial is not None:
            dial, level = condition.dial, condition.level

            def change(view: View, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
                image_id = view.path.relative_to(self.lab.root).as_posix()
                return stress(picture, dial, level, image_id=image_id, seed=self.seed, view=view.kind)

            if dial in FIELDS_OF_VIEW:
                describe = partial(self.model.describe_query, fov_deg=level)
            return describe_views(views, describe, change=change, prepare=prepare)
        missing = [view for view in views if (half, view.path) not in self._known]
        if missing:
            for view, one in zip(missing, describe_views(missing, describe, prepare=prepare), strict=True):
                self._known[half, view.path] = one
        return np.stack([self._known[half, view.path] for view in views])


def _facing_north(view: View, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return turned_panorama(picture, -(view.heading_deg or 0.0))
