"""Seconds of a training step with GeoLink's 3D branch and terms against the same step without, on the same batch.

    python benchmarks/geolink_step.py --threads 2

A step is: forward pass of both views as one batch, losses, backward pass, clipping, AdamW. Clouds come with the neighbour tables made once
for them, as a trainer has them. "without" is the 2D network with the drone-satellite contrast alone. The kinds are taken in turn within
each round, and the ratio is that of the best times: other load on the machine meets all of them.
"""

from __future__ import annotations

import argparse
import json
import time

import torch

from crossfix.losses.geolink import TermsConfig
from crossfix.models.gengeo import ArchConfig, SaladConfig
from crossfix.models.geolink import GeoLinkBatch, GeoLinkConfig, build_geolink
from crossfix.models.point_branch import PointConfig
from crossfix.train.memory import keep_freed_memory

SALAD = SaladConfig(clusters=16, cluster_dim=32, token_dim=64, hidden=256, dropout=0.0)
ONLY_2D = {"points": 0.0, "intra": 0.0, "mi": 0.0, "relation": 0.0}
KINDS = {
    "without": (ONLY_2D, {}),
    "3D, all terms": ({}, {}),
    "3D, contrast only": ({**ONLY_2D, "points": 1.0}, {}),
    "3D, no tables": ({}, {"tables": False}),
    "3D, norms per neighbour": ({}, {"per_neighbour": True}),
    "frozen teacher": ({}, {"teacher": "frozen"}),
    "tokens matched": ({**ONLY_2D, "tokens": 3.0}, {}),
}


def clouds(count, points, seed=0):
    """Something like towns: a plain with boxes on it, in the unit sphere."""
    generator = torch.Generator().manual_seed(seed)
    pts = torch.rand(count, points, 3, generator=generator) * 2 - 1
    pts[..., 2] = torch.rand(count, 1, generator=generator) * 0.3 * (torch.sin(7 * pts[..., 0]) * torch.sin(5 * pts[..., 1]) > 0)
    pts = pts - pts.mean(1, keepdim=True)
    return pts / pts.norm(dim=2).amax(1)[:, None, None]


def stepper(arch, terms, options, pairs, precision):
    """A function that takes one training step."""
    torch.manual_seed(0)
    points = PointConfig(per_neighbour=options.get("per_neighbour", False))
    teacher = options.get("teacher", "joint")
    link = build_geolink(GeoLinkConfig(arch, points, teacher), TermsConfig(**terms).build).train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW([p for p in link.parameters() if p.requires_grad], lr=1e-4, fused=True)
    drone, satellite = torch.randn(2, pairs, 3, arch.px, arch.px)
    pts = clouds(pairs, points.points)
    batch = GeoLinkBatch(drone.contiguous(memory_format=torch.channels_last), satellite.contiguous(memory_format=torch.channels_last))
    if link.terms.config.tokens:  # 24 points a pair, most of which both pictures show
        xy = torch.rand(2, pairs, 24, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
        batch = batch._replace(sightings=(xy[0], xy[1], torch.ones(pairs, 24, dtype=torch.bool)))
    if link.terms.config.uses_clouds:
        table = link.points.table(pts) if options.get("tables", True) else None
        if teacher == "frozen":  # its descriptors are computed once for all steps
            with torch.no_grad():
                batch = batch._replace(point_PD=link.points(pts, table))
        else:
            batch = batch._replace(pts_PNC=pts, table_PT=table)

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            losses = link(batch)
        losses.objective.backward()
        torch.nn.utils.clip_grad_norm_(link.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="resnet34")
    parser.add_argument("--stride", type=int, default=8, help="0 for transformers")
    parser.add_argument("--px", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--precision", choices=["bf16", "float32"], default="bf16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu with --threads 1 is right on a busy machine too")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()  # as trainings do
    arch = ArchConfig(args.encoder, args.px, SALAD, stride=args.stride or None)
    steps = {name: stepper(arch, terms, options, args.pairs, args.precision) for name, (terms, options) in KINDS.items()}
    now = time.process_time if args.clock == "cpu" else time.perf_counter
    best = dict.fromkeys(steps, float("inf"))
    for number in range(args.rounds + 1):
        for name, step in steps.items():
            start = now()
            step()
            if number:  # the first round warms up
                best[name] = min(best[name], now() - start)
    rows = [{"kind": name, "seconds": spent, "ratio": spent / best["without"]} for name, spent in best.items()]
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    what = f"{args.encoder} at {args.px} px, {args.pairs} pairs, {args.precision}"
    print(f"{what}, {args.threads} threads, best of {args.rounds} rounds, {args.clock} time")
    print(f"{'':26} {'ms':>7} {'ratio':>6}")
    for row in rows:
        print(f"{row['kind']:26} {1000 * row['seconds']:7.0f} {row['ratio']:6.2f}")


if __name__ == "__main__":
    main()
