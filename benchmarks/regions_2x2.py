"""Is the unseen region really another one? Train on each of two styles at equal budget, test on both.

python benchmarks/regions_2x2.py WORK [--steps 1200]
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

TRAINED = {"elsewhere": "training regions", "oracle": "desert"}


def run_folder(work: Path, name: str, steps: int) -> Path:
    """Trains on a bank of 960 places, or finds what an earlier call has left."""
    base = recipe("gengeo-tiny-drone")
    config = dataclasses.replace(
        base, steps=steps, together=1, held_out=60, validate_every=steps, checkpoint_every=steps, ema=0.0,
        optim=dataclasses.replace(base.optim, warmup_steps=steps // 10),
        augment=dataclasses.replace(base.augment, curriculum_steps=steps),
    )  # fmt: skip
    folder = work / f"run-{name}-{steps}"
    train(config, folder, bank=bank(work, name))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=1200)
    args = parser.parse_args()
    print("| trained on | R@1 on training regions | R@1 on desert |\n|---|---|---|")
    for name, about in TRAINED.items():
        model = load(str(run_folder(args.work, name, args.steps)))
        cells = []
        for test in ("test", "desert"):
            score = score_bank(bank(args.work, test), model).scores["R@1"]
            cells.append(f"{100 * score.value:.1f} [{100 * score.low:.1f}, {100 * score.high:.1f}]")
        print(f"| {about} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
