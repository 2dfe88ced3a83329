"""Seconds to rank and score at University-1652's full size: the bare matrix product, the usual loop of one sort a query, and crossfix.

    python benchmarks/score_speed.py --threads 2

Drone to satellite: 37,855 queries, 951 images, one positive each; satellite to drone: 701 queries, 51,355 images, 54 positives each.
Descriptors are random unit vectors of 512 entries, a query the noisy mean of its place's images, so that some are found and some are not.
The bare product is the faster of numpy's and torch's, in the same blocks, its result thrown away. The usual loop is University-1652's own:
a product, a full argsort and searches for the good rows, a query at a time; it is timed on some of the queries. crossfix is timed twice:
ranks and AP alone, and `score` as the command runs it, both protocols with intervals. Both must agree with the loop's scores.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time

SIZES = {"drone to satellite": (701, 54, 951, 1), "satellite to drone": (701, 1, 951, 54)}


def draw(places, views, gallery_places, images, dim, noise):
    rng = np.random.default_rng(0)
    names = np.repeat(np.arange(gallery_places), images)
    gallery = rng.standard_normal((len(names), dim), dtype=np.float32)
    middle = rng.standard_normal((gallery_places, dim), dtype=np.float32)
    gallery += middle[names]
    ids = np.repeat(np.arange(places), views)
    query = middle[ids] + noise * rng.standard_normal((len(ids), dim), dtype=np.float32)
    for desc in (query, gallery):
        desc /= np.linalg.norm(desc, axis=1, keepdims=True)
    keep = rng.permutation(len(names))
    return query, ids, gallery[keep], names[keep]


def bare(query, gallery, now):
    import torch

    one, other = torch.from_numpy(query), torch.from_numpy(gallery)
    best = {}
    for name, left, right in (("numpy", query, gallery), ("torch", one, other)):
        start = now()
        for row in range(0, len(query), 1024):
            for column in range(0, len(gallery), 16384):
                left[row : row + 1024] @ right[column : column + 16384].T
        best[name] = now() - start
    return min(best.values())


def usual(query, ids, gallery, names, most, now):
    start = now()
    total, first = 0.0, 0
    chosen = np.linspace(0, len(query) - 1, min(most, len(query))).astype(int)
    for number in chosen:
        order = np.argsort(gallery @ query[number])[::-1]
        places = np.flatnonzero(np.isin(order, np.flatnonzero(names == ids[number])))
        before = np.arange(len(places))
        old = np.where(places > 0, before / np.maximum(places, 1), 1.0)
        total += float(((before + 1) / (places + 1) + old).mean() / 2)
        first += places[0] == 0
    seconds = (now() - start) * len(query) / len(chosen)
    return seconds, first / len(chosen), total / len(chosen), chosen


def ranked(query, ids, gallery, names, now):
    start = now()
    values = Similarity(query, gallery)
    counter = WrongAbove(View(values, unit=False, nan_first=True), of_ids(ids, names))
    for block in values.blocks():
        counter.take(block)
    counts = counter.counts()
    best, ap = counts.best("later"), counts.average_precision("later", "trapezoid")
    return now() - start, best, ap


def main():
    args = parse()
    now = time.process_time if args.clock == "cpu" else time.perf_counter
    rows = []
    for name, (places, views, gallery_places, images) in SIZES.items():
        data = draw(max(1, places // args.shrink), views, max(1, gallery_places // args.shrink), images, args.dim, args.noise)
        query, ids, gallery, names = data
        seconds = {"bare": float("inf"), "ranks and AP": float("inf"), "score": float("inf")}
        for _ in range(args.rounds):
            seconds["bare"] = min(seconds["bare"], bare(query, gallery, now))
            taken, best, ap = ranked(*data, now)
            seconds["ranks and AP"] = min(seconds["ranks and AP"], taken)
            start = now()
            scored = score(DescriptorSet("queries", query, ids), DescriptorSet("gallery", gallery, names), "university1652")
            seconds["score"] = min(seconds["score"], now() - start)
        seconds["usual"], first, mean, chosen = usual(*data, args.loop, now)
        assert abs((best[chosen] == 0).mean() - first) < 1e-3, "the ranks are not the loop's"
        assert abs(ap[chosen].mean() - mean) < 1e-4, "AP is not the loop's"
        assert abs(ap.mean() - scored.paper["AP"]) < 1e-9
        sizes = {"queries": len(query), "gallery": len(gallery), "dim": args.dim}
        rows.append({"task": name, **sizes, "R@1": scored.paper["R@1"], "AP": scored.paper["AP"], "seconds": seconds})
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if args.json:
        print(json.dumps({"threads": args.threads, "peak_mb": peak_mb, "rows": rows}, indent=2))
        return
    print(f"{args.threads} threads, {args.clock} time, best of {args.rounds} rounds, {args.dim} dimensions, at most {peak_mb:.0f} MB")
    print(f"{'task':20} {'queries':>8} {'gallery':>8} {'R@1':>6} {'AP':>6} {'way':>14} {'seconds':>9} {'of bare':>8}")
    for row in rows:
        for way in ("bare", "ranks and AP", "score", "usual"):
            took = row["seconds"][way]
            head = f"{row['task']:20} {row['queries']:8d} {row['gallery']:8d} {row['R@1']:6.3f} {row['AP']:6.3f}"
            print(f"{head} {way:>14} {took:9.2f} {took / row['seconds']['bare']:8.2f}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--noise", type=float, default=4.0, help="of the queries: 0 finds every place")
    parser.add_argument("--loop", type=int, default=200, help="queries the usual loop is timed on")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu with --threads 1 is right on a busy machine too")
    parser.add_argument("--shrink", type=int, default=1, help="divides the number of places: a quick try")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    # the libraries read these when they are imported
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(parse().threads)
    import numpy as np

    from crossfix.evaluate.arrays import DescriptorSet
    from crossfix.evaluate.positives import of_ids
    from crossfix.evaluate.ranks import WrongAbove
    from crossfix.evaluate.score import score
    from crossfix.index.similarity import Similarity, View

    main()
