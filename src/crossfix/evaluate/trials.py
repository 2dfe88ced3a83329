"""Trials: variants of a training, each with several seeds, examined on worlds-v1 and compared place by place.

Axes: S seeds, P places, N draws.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from crossfix.data.worldsv1 import WorldsV1
from crossfix.disk import write_json
from crossfix.errors import InputError
from crossfix.evaluate.lab import ALL_HEIGHTS, NORTH, Condition, conditions, oracle_scores, run_lab
from crossfix.models.registry import load
from crossfix.train.config import TrainConfig
from crossfix.train.loop import train
from crossfix.train.opening import sample_ahead
from crossfix.workers import worker_processes

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
    "north known, seen": lambda one: one.name == NORTH and one.part == "seen",
    "north known, unseen": lambda one: one.name == NORTH and one.part != "seen",
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
    jobs: int = 1,
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
        jobs: trainings at a time, in processes that share the cores evenly. Small networks leave cores idle: two at a time, of one core
            each, do 1.24 times as much as one after the other on both. The number of threads decides the last bits of the weights.
        memory_gb: for pictures that a training keeps.
        progress: makes a report for a stage that it is told the name of.

    Returns:
        JSON values: ``runs`` (variant, seed, training time, validation), ``table`` (by variant and group the mean R@1 over seeds),
        ``differences`` (by variant and group, less the first variant's), as fractions of 1 with 95 % intervals, and ``shares`` (by variant
        and part, of what the part's oracle reaches; see `oracle_scores`).

    Raises:
        InputError: where there is nothing to compare.
        DataError: where the laboratory is not whole, or clouds that a variant trains with are missing.
        RunError: where the folder holds other runs, or a training fails.
    """
    if len({trial.name for trial in trials}) < len(trials) or not trials or seeds < 1 or jobs < 1:
        raise InputError("trials need names of their own, and at least one seed", where=out, mend="name each variant once")
    for trial in trials:  # missing clouds are told of before anything is trained
        sample_ahead(trial.config, root, out, progress(f"{trial.name}: reading clouds") if progress else None)
    wanted = [one for one in conditions() if any(GROUPS[group](one) for group in groups)]
    asked = [_Run(trial, seed, root, out, tuple(wanted), memory_gb) for seed in range(seeds) for trial in trials]
    done = [one(progress) for one in asked] if jobs == 1 else _at_once(asked, jobs, progress)
    runs = [facts for facts, _ in done]
    rows: dict[str, list[list[dict[str, Any]]]] = {trial.name: [] for trial in trials}
    for facts, examined in done:
        rows[facts["trial"]].append(examined)
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
    best = {part: score for part, score in oracle_scores(root).items() if part in groups and score > 0}
    results["shares"] = {name: {part: row[part]["value"] / score for part, score in best.items()} for name, row in table.items()}
    write_json(out / "results.json", results)
    return results


@dataclass(frozen=True)
class _Run:
    """A variant's training and examination with one seed."""

    trial: Trial
    seed: int
    root: Path
    out: Path
    wanted: tuple[Condition, ...]
    memory_gb: float

    def __call__(self, progress: Callable[[str], Report] | None = None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """What the training came to, and the rows of the examination."""
        folder, stage = self.out / f"{self.trial.name}-{self.seed}", f"{self.trial.name}, seed {self.seed}"
        config = dataclasses.replace(self.trial.config, seed=self.seed)
        told = progress(f"{stage}: training") if progress else None
        results = train(config, folder, told, root=self.root, memory_gb=self.memory_gb, cloud_cache=self.out).results
        told = progress(f"{stage}: examining") if progress else None
        found = run_lab(load(folder), self.root, only=self.wanted, out=folder / "lab", progress=told)
        kept = ("steps", "seconds", "parameters", "validation", "sha256")
        return {"trial": self.trial.name, "seed": self.seed, **{name: results[name] for name in kept}}, found["rows"]


def _at_once(
    asked: Sequence[_Run], jobs: int, progress: Callable[[str], Report] | None
) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """All runs, several at a time. Where one fails, those that have begun are finished and no other begins."""
    report = progress("trainings") if progress else None
    threads = max(1, (os.cpu_count() or 1) // jobs)
    if report is not None:
        report(0, len(asked))
    with worker_processes(jobs, torch.set_num_threads, threads) as pool:
        coming = [pool.submit(one) for one in asked]
        try:
            for count, one in enumerate(as_completed(coming), start=1):
                one.result()
                if report is not None:
                    report(count, len(asked))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [one.result() for one in coming]


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
