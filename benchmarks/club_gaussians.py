"""The bound on mutual information against the truth, on correlated Gaussians: y = rho x + sqrt(1 - rho²) noise in each dimension.

    python benchmarks/club_gaussians.py

q is fitted on fresh draws at every step; the bound is taken on draws it has not seen. True information: -dims / 2 * ln(1 - rho²) nats.
The expected bound of a perfect q is dims * rho² / (1 - rho²): an upper bound, and a loose one where rho is large.
"""

from __future__ import annotations

import argparse
import json
import math

import torch

from crossfix.losses.club import Club


def draw(count, dims, rho, generator):
    """Pairs of standard normal vectors whose entries correlate by rho."""
    x, noise = torch.randn(2, count, dims, generator=generator)
    return x, rho * x + math.sqrt(1 - rho**2) * noise


def fitted(dims, rho, *, steps, batch=512, hidden=128, rate=2e-3, seed=0):
    """A bound whose q was fitted for some steps."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    club = Club(dims, dims, hidden, unit_norm=False)
    optimizer = torch.optim.Adam(club.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        loss = club.fit_loss(*draw(batch, dims, rho, generator))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return club


@torch.no_grad()
def measure(dims=16, rhos=(0.0, 0.3, 0.5, 0.7, 0.8, 0.9), *, steps=1000, held_out=20_000, seed=0):
    """A row for each rho: true information, bound, and bound of a perfect q, in nats."""
    rows = []
    for rho in rhos:
        with torch.enable_grad():
            club = fitted(dims, rho, steps=steps, seed=seed)
        x, y = draw(held_out, dims, rho, torch.Generator().manual_seed(seed + 1))
        truth = -dims / 2 * math.log(1 - rho**2)
        bound = dims * float(club(x, y))
        rows.append({"rho": rho, "truth": truth, "bound": bound, "perfect": dims * rho**2 / (1 - rho**2)})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dims", type=int, default=16)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = measure(args.dims, tuple(i / 10 for i in range(10)), steps=args.steps, seed=args.seed)
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{args.dims} dimensions, q fitted for {args.steps} steps, nats")
    print(f"{'rho':>5} {'true':>8} {'bound':>8} {'perfect q':>10}")
    for row in rows:
        print(f"{row['rho']:5.1f} {row['truth']:8.3f} {row['bound']:8.3f} {row['perfect']:10.3f}")


if __name__ == "__main__":
    main()
