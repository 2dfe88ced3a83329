"""Drone to satellite on worlds, heading unknown, 300 places: the bundled model, a colour histogram and a HOG with twelve rotations.

python benchmarks/worlds_retrieval.py WORK [--model gengeo-tiny] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from crossfix.evaluate.bank import score_bank
from crossfix.evaluate.baselines import ColourHistogram, RotatedHog
from crossfix.models.registry import load
from worlds_banks import bank

NAMES = {"test": "unseen places of the training regions", "desert": "unseen region: desert", "delta": "unseen region: delta"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--model", default="gengeo-tiny")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    ways = {args.model: load(args.model), "colour histogram": ColourHistogram(), "HOG, 12 rotations": RotatedHog()}
    found = {}
    print("| places | method | R@1 | R@5 | R@10 | AP |\n|---|---|---|---|---|---|")
    for name, about in NAMES.items():
        for way, model in ways.items():
            scores = score_bank(bank(args.work, name), model)
            found[f"{name}/{way}"] = scores.to_dict()
            cells = (
                f"{100 * s.value:.1f} [{100 * s.low:.1f}, {100 * s.high:.1f}]"
                for s in (scores.scores[k] for k in ("R@1", "R@5", "R@10", "AP"))
            )
            print(f"| {about} | {way} | {' | '.join(cells)} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
