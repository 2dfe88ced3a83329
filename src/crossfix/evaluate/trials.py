"""Trials: variants of a training, each with several seeds, examined on worlds-v1 and compared place by place.

Axes: S seeds, P places, N draws.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.clouds.layout import cloud_folder, find_clouds
from crossfix.data.worldsv1 import WorldsV1
from crossfix.disk import write_json
from crossfix.errors import InputError
from crossfix.evaluate.lab import ALL_HEIGHTS, Condition, conditions, run_lab
from crossfix.models.registry import load
from crossfix.train.config import SetData, TrainConfig
from crossfix.train.loop import train

DRAWS = 10_000
Report = Callable[[int, int], None]
Doubles = npt.NDArray[np.float64]
GROUPS: dict[str, Callable[[Condition], bool]] = {
    "seen": lambda one: one.part == "seen" and one.name == ALL_HEIGHTS,
    "near": lambda one: one.part == "near" and one.name == ALL_HEIGHTS,
    "middle": lambda one: one.part == "middle" and one.name == ALL_HEIGHTS,
    "far": lambda one: one.part == "far" and one.name == ALL_HEIGHTS,
    "unseen": lambda one: one.part != "seen" and one.name == ALL_HEIGHTS,
    "years later": lambda one: one.name == "later",
    "weather": lambda one: (one.dial or "").startswith("weather-"),
    "off-centre": lambda one: one.dial == "shift",
    "hidden": lambda one: one.dial == "blob",
    "80 m": lambda one: one.name == "80m",
    "300 m": lambda one: one.name == "300m",
    "map to drone": lambda one: one.name == "map to drone",
    "panorama": lambda one: one.name == "panorama",
    "panorama, unseen": lambda one: one.name == "panorama" and one.part != "seen",
    "limited view": lambda one: one.dial in ("fov", "perspective"),
}
"""Conditions whose R@1 is averaged into one column."""


@dataclass(frozen=True)
class Trial:
    """A variant.

    Attributes:
        name: of its runs' folders.
        about: one line for the table.
        config: its training; the seed is replaced.
    """

    name: str
    about: str
    config: TrainConfig


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and places, or a difference of two, with its 95 % interval."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"value": self.value, "interval95": [self.low, self.high], "excludes0": self.low > 0 or self.high < 0}


def run_trials(
    trials: Sequence[Trial],
    root: Path,
    out: Path,
    *,
    seeds: int = 3,
    groups: Sequence[str] = tuple(GROUPS),
    memory_gb: float = 2.0,
    progress: Callable[[str], Report] | None = None,
) -> dict[str, Any]:
    """Train and examine all variants, seed by seed, and compare each with the first; goes on where it was killed.

    All variants of one seed see the same pairs in the same order where their batches have one size.

    Args:
        trials: the variants; the first is what the others are compared with.
        root: folder of worlds-v1.
        out: a folder; every run gets one of its own in it.
        seeds: how many: 0, 1, 2 and so on.
        groups: keys of ``GROUPS``: what is examined.
        memory_gb: for pictures that a training keeps.
        progress: makes a report for a stage that it is told the name of.

    Returns:
        JSON values: ``runs`` (variant, seed, training time, validation), ``table`` (by variant and group the mean R@1 over seeds) and
        ``differences`` (by variant and group, less the first variant's), as fractions of 1 with 95 % intervals.

    Raises:
        InputError: where there is nothing to compare.
        DataError: where the laboratory is not whole, or clouds that a variant trains with are missing.
        RunError: where the folder holds other runs, or a training fails.
    """
    if len({trial.name for trial in trials}) < len(trials) or not trials or seeds < 1:
        raise InputError("trials need names of their own, and at least one seed", where=out, mend="name each variant once")
    for config in (trial.config for trial in trials):
        if config.geolink is not None and config.geolink.clouds != "none" and isinstance(config.data, SetData):
            find_clouds(cloud_folder(root, config.data.name, config.data.split))  # missing ones are told of before anything is trained
    wanted = [one for one in conditions() if any(GROUPS[group](one) for group in groups)]
    runs: list[dict[str, Any]] = []
    rows: dict[str, list[list[dict[str, Any]]]] = {trial.name: [] for trial in trials}
    for seed in range(seeds):
        for trial in trials:
            folder = out / f"{trial.name}-{seed}"
            stage = f"{trial.name}, seed {seed}"
            config = dataclasses.replace(trial.config, seed=seed)
            done = train(
                config,
                folder,
                progress(f"{stage}: training") if progress else None,
                root=root,
                memory_gb=memory_gb,
                cloud_cache=out,
                cloud_progress=progress(f"{stage}: reading clouds") if progress else None,
            ).results
            report = progress(f"{stage}: examining") if progress else None
            found = run_lab(load(folder), root, only=wanted, out=folder / "lab", progress=report)
            rows[trial.name].append(found["rows"])
            kept = ("steps", "seconds", "parameters", "validation", "sha256")
            runs.append({"trial": trial.name, "seed": seed, **{name: done[name] for name in kept}})
    places = _Places(WorldsV1(root))
    table: dict[str, dict[str, Any]] = {}
    differences: dict[str, dict[str, Any]] = {}
    for group in groups:
        hits = {name: np.stack([places.hits(one, GROUPS[group]) for one in each]) for name, each in rows.items()}
        first = hits[trials[0].name]
        for name, hit_SP in hits.items():
            table.setdefault(name, {})[group] = estimate(hit_SP).to_dict()
            if name != trials[0].name:
                differences.setdefault(name, {})[group] = estimate(hit_SP - first).to_dict()
    about = {trial.name: trial.about for trial in trials}
    results = {"trials": about, "seeds": seeds, "groups": list(groups), "runs": runs, "table": table, "differences": differences}
    write_json(out / "results.json", results)
    return results


def estimate(value_SP: Doubles, *, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """The mean over seeds and places, and its 95 % percentile interval from draws of both: seeds, and places within all of them.

    The bootstrap of S seeds sees (S - 1) / S of the variance between seeds; what a draw's choice of seeds adds to the mean
    is therefore stretched by the square root of S / (S - 1).

    Args:
        value_SP: of each seed's run, of each place.
        seed: of the draws.
        draws: how many.
    """
    seeds, places = value_SP.shape
    generator = np.random.default_rng(seed)
    pick_NS = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
    mean = float(value_SP.mean())
    mean_S = value_SP.mean(axis=1) - mean
    of_seeds_N = pick_NS @ mean_S * (np.sqrt(seeds / (seeds - 1)) if seeds > 1 else 0.0)
    place_P = value_SP.mean(axis=0) - mean
    of_places_N = np.concatenate(
        [
            generator.multinomial(places, np.full(places, 1 / places), size=min(1000, draws - begin)) @ place_P / places
            for begin in range(0, draws, 1000)
        ]
    )
    low, high = np.quantile(mean + of_seeds_N + of_places_N, [0.025, 0.975])
    return Estimate(mean, float(low), float(high))


class _Places:
    """Which place each query of a condition asks for."""

    def __init__(self, lab: WorldsV1) -> None:
        self._lab = lab
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def hits(self, rows: Sequence[Mapping[str, Any]], chosen: Callable[[Condition], bool]) -> Doubles:
        """Of each place the share of its queries that were right, over the chosen conditions, (P,) in the order of their names."""
        names = {field.name for field in dataclasses.fields(Condition)}
        count: dict[str, list[int]] = {}
        for row in rows:
            if not chosen(Condition(**{name: row[name] for name in names})):
                continue
            key = (row["split"], row["direction"])
            if key not in self._known:
                self._known[key] = tuple(view.place for view in self._lab.task(*key).query)
            for place, first in zip(self._known[key], row["first"], strict=True):
                count.setdefault(place, []).append(int(first))
        return np.array([np.mean(count[place]) for place in sorted(count)])
