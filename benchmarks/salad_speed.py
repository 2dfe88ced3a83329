"""SALAD's time and peak memory, forward and backward, against the form that repeats tensors.

    python benchmarks/salad_speed.py [--batch 32] [--tokens 529] [--threads 2] [--dustbin fixed]

The repeating form is written from the paper's equations as its own code computes them: assignment and features are both repeated to
(batch, features, clusters, tokens), multiplied and summed over tokens. Perceptrons and transport are the same in both and count in both.
Each form runs in processes of its own, by turns; the peak is the resident memory beyond what the process held before.
Both must give the same descriptors and gradients.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=529, help="529: 322 px in patches of 14")
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3, help="processes a form")
    parser.add_argument("--dustbin", default="fixed")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="bfloat16: of the perceptrons, by autocast")
    parser.add_argument("--form", choices=("ours", "repeating"), help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.form is not None:
        print(json.dumps(measure(wanted)))
        return
    found: dict[str, list[dict[str, float]]] = {"ours": [], "repeating": []}
    for _ in range(wanted.rounds):
        for form, runs in found.items():
            command = [sys.executable, __file__, *sys.argv[1:], "--form", form]
            runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    sizes = f"{wanted.batch} pictures of {wanted.tokens} tokens of {wanted.dim}"
    print(f"SALAD, dustbin {wanted.dustbin}: {sizes}, {wanted.threads} threads, {wanted.precision}\n")
    print("| | forward and backward, s | peak beyond the start, MB | check |\n|---|---|---|---|")
    best = {}
    for form, runs in found.items():
        best[form] = {key: min(run[key] for run in runs) for key in ("seconds", "peak_mb")}
        print(f"| {form} | {best[form]['seconds']:.3f} | {best[form]['peak_mb']:.0f} | {runs[0]['check']:.6f} |")
    ours, repeating = best["ours"], best["repeating"]
    print(f"| ratio | {repeating['seconds'] / ours['seconds']:.1f} | {repeating['peak_mb'] / ours['peak_mb']:.1f} | |")


def measure(wanted: argparse.Namespace) -> dict[str, float]:
    import torch
    from torch import nn

    from crossfix.models.salad import Salad

    class Repeating(Salad):
        def gather(self, plan_BMN: torch.Tensor, feature_BNL: torch.Tensor) -> torch.Tensor:
            feature_BLN = feature_BNL.transpose(1, 2)
            plan_BLMN = plan_BMN.unsqueeze(1).repeat(1, feature_BLN.shape[1], 1, 1)
            feature_BLMN = feature_BLN.unsqueeze(2).repeat(1, 1, self.clusters, 1)
            return nn.functional.normalize((feature_BLMN * plan_BLMN).sum(-1), dim=1)

    torch.set_num_threads(wanted.threads)
    torch.manual_seed(0)
    head = (Salad if wanted.form == "ours" else Repeating)(wanted.dim, dropout=0.0, dustbin=wanted.dustbin)
    tok_BND = torch.randn(wanted.batch, wanted.tokens, wanted.dim, requires_grad=True)
    cls_BD = torch.randn(wanted.batch, wanted.dim)
    weight_BD = torch.randn(wanted.batch, head.out_dim)

    def step() -> float:
        head.zero_grad(set_to_none=True)
        tok_BND.grad = None
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=wanted.precision == "bfloat16"):
            desc_BD = head(tok_BND, cls_BD)
        (desc_BD * weight_BD).sum().backward()
        return time.perf_counter() - start

    with torch.autocast("cpu", torch.bfloat16, enabled=wanted.precision == "bfloat16"):
        head(tok_BND[:1, :100], cls_BD[:1]).sum().backward()  # what threads and libraries allocate once is no part of it
    before_mb = resident_mb()
    seconds = [step() for _ in range(wanted.repeats)]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb
    assert tok_BND.grad is not None
    return {"seconds": min(seconds), "peak_mb": peak_mb, "check": float(tok_BND.grad.norm())}


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
