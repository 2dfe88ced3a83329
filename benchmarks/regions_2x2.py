"""Is the unseen region really another one? Train on each of two styles at equal budget, test on both.

python benchmarks/regions_2x2.py WORK [--steps 600]
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from crossfix.evaluate.bank import score_bank
from crossfix.models.registry import load
from crossfix.train.loop import train
from crossfix.train.recipes import recipe
from worlds_banks import bank


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    args = parser.parse_args()
    base = recipe("gengeo-tiny")
    config = dataclasses.replace(
        base, steps=args.steps, together=1, held_out=60, validate_every=args.steps, checkpoint_every=args.steps, ema=0.0,
        optim=dataclasses.replace(base.optim, warmup_steps=args.steps // 10),
        augment=dataclasses.replace(base.augment, curriculum_steps=args.steps),
    )  # fmt: skip
    print("| trained on | R@1 on training regions | R@1 on desert |\n|---|---|---|")
    for name, about in (("elsewhere", "training regions, 960 places"), ("oracle", "desert, 960 places")):
        run = args.work / f"run-{name}-{args.steps}"
        train(config, run, bank=bank(args.work, name))
        model = load(str(run))
        cells = []
        for test in ("test", "desert"):
            score = score_bank(bank(args.work, test), model).scores["R@1"]
            cells.append(f"{100 * score.value:.1f} [{100 * score.low:.1f}, {100 * score.high:.1f}]")
        print(f"| {about} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
