"""Clouds of 100,000 points a minute that are sampled to 1,024 points on the unit sphere, on one thread and on two.

The last column is the processor's time, which other programs on the machine change less.

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
    print("| cloud | threads | clouds a minute | CPU s a cloud |")
    print("|---|---|---|---|")
    for name, cloud in clouds.items():
        for threads in (1, 2):
            with ThreadPoolExecutor(threads) as pool:
                start, busy = time.perf_counter(), time.process_time()
                list(pool.map(lambda number, cloud=cloud: sample(cloud, key=str(number)), range(CLOUDS)))
                rate, each = 60 * CLOUDS / (time.perf_counter() - start), (time.process_time() - busy) / CLOUDS
                print(f"| {name} | {threads} | {rate:.0f} | {each:.3f} |", flush=True)


if __name__ == "__main__":
    main()
