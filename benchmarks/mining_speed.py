"""Time and peak memory of mining hard negatives at CVUSA's size, and against sorting the whole matrix.

    python benchmarks/mining_speed.py --threads 2

35,532 pairs of random unit descriptors of 1,024 entries, a query the noisy copy of its place's, and positions all over a town; the top 128
places of each query but its own. Each way runs in a process of its own. Sorting the whole matrix (a product, an argsort) is timed at fewer
pairs, since it takes N x N x 20 bytes; beside it stands the time of crossfix at that number. CPU seconds are those of all threads together:
on a busy machine, divided by the threads, they are nearer to an idle machine's wall clock.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path


def draw(pairs, dim):
    generator = np.random.default_rng(0)
    place = generator.standard_normal((pairs, dim), dtype=np.float32)
    query = place + 2 * generator.standard_normal((pairs, dim), dtype=np.float32)
    for desc in (place, query):
        desc /= np.linalg.norm(desc, axis=1, keepdims=True)
    return query, place


def whole_matrix(query, place, k):
    matrix = query @ place.T
    np.fill_diagonal(matrix, -np.inf)
    return np.argsort(-matrix, axis=1)[:, :k]


def measured(way, pairs, dim, k):
    """Runs in the measured process."""
    own = np.arange(pairs)[:, None]
    if way == "ground":
        lonlat = np.random.default_rng(0).uniform((-122.5, 37.7), (-122.3, 37.9), (pairs, 2))
        position = in_space(lonlat)
        work = lambda: nearest_on_ground(position, position, own, k)  # noqa: E731
    else:
        query, place = draw(pairs, dim)
        if way == "whole matrix":
            work = lambda: whole_matrix(query, place, k)  # noqa: E731
        else:
            work = lambda: most_similar(query, place, own, k)  # noqa: E731
    wall, cpu = time.perf_counter(), time.process_time()
    table = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    # Not ru_maxrss: a process started by fork begins with its parent's.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    same = None
    if way == "whole matrix":
        same = float((table == most_similar(query, place, own, k)).mean())
    print(json.dumps({"wall_s": wall, "cpu_s": cpu, "peak_mb": int(peak.split()[1]) / 1024, "same": same}))


def main():
    options = parse()
    if options.measured:
        way, pairs = options.measured
        measured(way, int(pairs), options.dim, options.k)
        return
    print(f"{options.dim} dimensions, top {options.k}, {options.threads} threads")
    print(f"{'way':>14} {'pairs':>8} {'wall s':>8} {'CPU s':>8} {'peak':>9}")
    rows = {}
    plan = (("similarity", options.pairs), ("ground", options.pairs), ("similarity", options.small), ("whole matrix", options.small))
    for way, pairs in plan:
        again = [sys.executable, __file__, "--measured", way, str(pairs), "--dim", str(options.dim), "--k", str(options.k)]
        done = subprocess.run([*again, "--threads", str(options.threads)], check=True, stdout=subprocess.PIPE)
        rows[way, pairs] = row = json.loads(done.stdout)
        print(f"{way:>14} {pairs:>8} {row['wall_s']:>8.1f} {row['cpu_s']:>8.1f} {row['peak_mb']:>6.0f} MB", flush=True)
    mine, naive = rows["similarity", options.small], rows["whole matrix", options.small]
    ratio = naive["cpu_s"] / mine["cpu_s"]
    print(f"the whole matrix takes {ratio:.1f} times the CPU time and {naive['peak_mb'] / mine['peak_mb']:.1f} times the memory")
    print(f"{100 * naive['same']:.4f} % of its float32 neighbours are those of the exact order")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=35_532)
    parser.add_argument("--small", type=int, default=8_000, help="pairs at which the whole matrix is sorted")
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--k", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--measured", nargs=2, metavar=("WAY", "PAIRS"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    # the libraries read these when they are imported
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(parse().threads)
    import numpy as np

    from crossfix.train.mining import in_space, most_similar, nearest_on_ground

    main()
