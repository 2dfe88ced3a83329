"""The banks of world views that the measurements of drone-to-satellite retrieval use, made where they are missing.

python benchmarks/worlds_banks.py WORK            # makes them all; about 40 minutes on two idle cores
"""

from __future__ import annotations

import sys
from pathlib import Path

from crossfix.train.recipes import recipe
from crossfix.worlds import REGIONS
from crossfix.worlds.pairs import BankPlan, PairBank, make_pair_bank

TRAINING = tuple(name for name, region in REGIONS.items() if not region.unseen)
PLANS = {
    "test": BankPlan(TRAINING, 300, 3000, views=2),  # unseen places of the training regions
    "desert": BankPlan(("desert",), 300, 3001, views=2),  # an unseen region
    "delta": BankPlan(("delta",), 300, 3002, views=2),  # another one
    "elsewhere": BankPlan(TRAINING, 960, 1000),  # to train on, for the 2x2 table
    "oracle": BankPlan(("desert",), 960, 1001),  # likewise
    "train": recipe("gengeo-tiny-drone").data,  # what the bundled model's first stage is trained on
}


def bank(work: Path, name: str) -> PairBank:
    """One of the banks, made if it is missing."""

    def progress(done: int, total: int) -> None:
        print(f"\r{name}: world {done} of {total}", end="" if done < total else "\n", file=sys.stderr, flush=True)

    return make_pair_bank(work / name, PLANS[name], progress=progress)


if __name__ == "__main__":
    for each in PLANS:
        bank(Path(sys.argv[1]), each)
