"""Clouds of 100,000 points a minute that are sampled to 1,024 points on the unit sphere, on one thread and on two.

python benchmarks/cloud_sampling.py
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from crossfix.clouds.cloud import Cloud
from crossfix.clouds.sampling import sample

POINTS, CLOUDS = 100_000, 24


def main() -> None:
    rng = np.random.default_rng(0)
    clouds = {
        "town (flat, 3 % high)": Cloud(rng.normal(0, (50, 50, 0.5), (POINTS, 3)) + (rng.random((POINTS, 1)) < 0.03) * [0, 0, 12]),
        "ball": Cloud(rng.normal(size=(POINTS, 3))),
    }
    print("| cloud | threads | clouds a minute |")
    print("|---|---|---|")
    for name, cloud in clouds.items():
        for threads in (1, 2):
            with ThreadPoolExecutor(threads) as pool:
                start = time.perf_counter()
                list(pool.map(lambda number, cloud=cloud: sample(cloud, key=str(number)), range(CLOUDS)))
                print(f"| {name} | {threads} | {60 * CLOUDS / (time.perf_counter() - start):.0f} |", flush=True)


if __name__ == "__main__":
    main()
