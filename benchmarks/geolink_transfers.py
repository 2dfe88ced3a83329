"""GeoLink's tables: trained on one set, tested on another, six transfers and the multi-weather test, the paper's numbers beside ours.

    python benchmarks/geolink_transfers.py WORK --data university1652:ROOT --data sues200:ROOT --data denseuav:ROOT
    python benchmarks/geolink_transfers.py WORK --rehearse

Clouds have to be there (``crossfix clouds build``, or the authors'). Of the sets that are given, those transfers are run that need no
other. It goes on where it was killed. ``--rehearse`` writes worlds in the three sets' trees, builds their clouds and trains a small network
on each for a few steps: everything runs, and the figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crossfix.cli import main as crossfix
from crossfix.evaluate.measurable import open_measurable
from crossfix.train.recipes.geolink import Transfer, transfers

PROTOCOL = "university1652-sample4geo"
SETS = ("university1652", "sues200", "denseuav")
SMALL = ("--steps", "12", "--batch", "6", "--px", "56", "--encoder", "vit_small_patch14_dinov2", "--held-out", "4")


def run(*words: str | Path) -> None:
    """A command of crossfix; the script ends where it fails."""
    if code := crossfix([str(word) for word in words]):
        sys.exit(code)


def rehearsed(work: Path) -> dict[str, Path]:
    """Worlds in the three sets' trees, with exact clouds."""
    roots = {name: work / "sets" / name for name in SETS}
    for name, root in roots.items():
        run("world", "write", name, root, "--places", "12", "--scale", "0.25", "--region", "suburb", "--region", "farmland")
        run("clouds", "build", root, "--data", name, "--backend", "world", "--side", "96")
    return roots


def measured(work: Path, one: Transfer, direction: str, root: Path) -> list[dict]:
    """The results on each split of the target."""
    found = []
    model = work / "runs" / one.recipe
    known = open_measurable(str(model)).sha256[:8]  # trained anew, it is scored anew
    for split in one.splits:
        out = work / "scores" / f"{one.recipe}-{one.target}-{split}-{direction}-{known}"
        results = out / "results.json"
        if not results.is_file():
            words = ["evaluate", "--model", model, "--data", f"{one.target}:{root}", "--split", split, "--direction", direction]
            stress = ["--stress", "weather"] if one.weather and direction == "d2s" else []
            run(*words, *stress, "--protocol", PROTOCOL, "-o", out)
        found.append(json.loads(results.read_text()))
    return found


def cells(paper: Sequence[float | None], ours: Sequence[dict]) -> str:
    """The paper's R@1 and AP, ours, and the strict R@1: means over splits."""
    printed = [" / ".join("-" if score is None else f"{score:.2f}" for score in paper)]
    printed.append(" / ".join(f"{100 * np.mean([one['paper'][name] for one in ours]):.2f}" for name in ("R@1", "AP")))
    return " | ".join([*printed, f"{100 * np.mean([one['strict']['R@1'] for one in ours]):.2f}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", action="append", default=[], metavar="NAME:ROOT")
    parser.add_argument("--rehearse", action="store_true")
    args = parser.parse_args()
    roots = rehearsed(args.work) if args.rehearse else {name: Path(root) for name, _, root in (one.partition(":") for one in args.data)}
    wanted = [one for one in transfers() if {one.source, one.target} <= roots.keys()]
    if not wanted:
        parser.error(f"give at least two of {', '.join(SETS)} with --data NAME:ROOT, or --rehearse")
    for one in {one.recipe: one for one in wanted}.values():
        small = SMALL if args.rehearse else ()
        run("train", one.recipe, "--data", f"{one.source}:{roots[one.source]}", "-o", args.work / "runs" / one.recipe, *small)
    lines = []
    for one in wanted:
        ways = {"d2s": (one.d2s_r1, one.d2s_ap), "s2d": (one.s2d_r1, one.s2d_ap)}
        for direction, paper in ways.items():
            if paper[0] is None:
                continue
            found = measured(args.work, one, direction, roots[one.target])
            lines.append(f"| {one.source} to {one.target}, {direction} | {cells(paper, found)} |")
            for rows in zip(*(each.get("stress", ()) for each in found), strict=True):  # the same condition on every split
                dial = rows[0]["dial"]
                lines.append(f"| the same, {dial} | {cells(one.weather.get(dial, (None, None)), rows)} |")
    print("| transfer | R@1 / AP, the paper | R@1 / AP, ours | R@1, strict |\n|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
