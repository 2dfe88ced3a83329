"""SALAD's time and peak memory, forward and backward, against the form that repeats tensors.

    python benchmarks/salad_speed.py [--batch 32] [--tokens 529] [--threads 2]

The repeating form is written from the paper's equations in the way its own code goes: 1x1 convolutions over a channels-first map, then
assignment and features both repeated to (batch, features, clusters, tokens), multiplied and summed over tokens. The transport is the
same in both. Each form runs in processes of its own, by turns, and the best of all counts; CPU seconds are those of all threads, which
a busy machine disturbs less. The peak is the resident memory beyond what the process held before. `check`, the norm of the tokens'
gradient, must be the same.
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
    parser.add_argument("--dropout", type=float, default=0.0, help="of both; above 0 their gradients differ")
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
    print(f"SALAD: {sizes}, {wanted.threads} threads, {wanted.precision}\n")
    print("| | forward and backward, s | CPU s | peak beyond the start, MB | check |\n|---|---|---|---|---|")
    best = {}
    for form, runs in found.items():
        best[form] = {key: min(run[key] for run in runs) for key in ("wall_s", "cpu_s", "peak_mb")}
        print(f"| {form} | {best[form]['wall_s']:.3f} | {best[form]['cpu_s']:.3f} | {best[form]['peak_mb']:.0f} | {runs[0]['check']:.6f} |")
    ratio = {key: best["repeating"][key] / best["ours"][key] for key in best["ours"]}
    print(f"| ratio | {ratio['wall_s']:.1f} | {ratio['cpu_s']:.1f} | {ratio['peak_mb']:.1f} | |")


def measure(wanted: argparse.Namespace) -> dict[str, float]:
    import torch
    from torch import nn

    from crossfix.models.salad import Salad
    from crossfix.models.transport import transport_plan

    class Repeating(nn.Module):
        """Channels-first maps through 1x1 convolutions, then the repeated tensors."""

        def __init__(self, like: Salad) -> None:
            super().__init__()
            self.token = like.token
            self.score, self.feature = (convolutions(part) for part in (like.score, like.feature))
            self.dustbin, self.iterations = like.dustbin, like.iterations

        def forward(self, tok_BND: torch.Tensor, cls_BD: torch.Tensor) -> torch.Tensor:
            map_BDN1 = tok_BND.transpose(1, 2).unsqueeze(3)
            plan_BMN = transport_plan(self.score(map_BDN1).flatten(2), self.dustbin, self.iterations)
            feature_BLN = self.feature(map_BDN1).flatten(2)
            plan_BLMN = plan_BMN.unsqueeze(1).repeat(1, feature_BLN.shape[1], 1, 1)
            feature_BLMN = feature_BLN.unsqueeze(2).repeat(1, 1, plan_BMN.shape[1], 1)
            cluster_BLM = nn.functional.normalize((feature_BLMN * plan_BLMN).sum(-1), dim=1)
            token_BD = nn.functional.normalize(self.token(cls_BD), dim=1)
            return nn.functional.normalize(torch.cat([token_BD, cluster_BLM.flatten(1)], 1), dim=1)

    def convolutions(perceptron: nn.Sequential) -> nn.Sequential:
        layers: list[nn.Module] = []
        for layer in perceptron:
            if isinstance(layer, nn.Linear):
                conv = nn.Conv2d(layer.in_features, layer.out_features, 1)
                conv.weight.data.copy_(layer.weight.data[:, :, None, None])
                conv.bias.data.copy_(layer.bias.data)
            layers.append(conv if isinstance(layer, nn.Linear) else type(layer)() if isinstance(layer, nn.ReLU) else layer)
        return nn.Sequential(*layers)

    torch.set_num_threads(wanted.threads)
    torch.manual_seed(0)
    ours = Salad(wanted.dim, dropout=wanted.dropout)
    head = ours if wanted.form == "ours" else Repeating(ours)
    torch.manual_seed(1)  # the forms draw different numbers of weights
    tok_BND = torch.randn(wanted.batch, wanted.tokens, wanted.dim, requires_grad=True)
    cls_BD = torch.randn(wanted.batch, wanted.dim)
    weight_BD = torch.randn(wanted.batch, ours.out_dim)

    def step() -> tuple[float, float]:
        head.zero_grad(set_to_none=True)
        tok_BND.grad = None
        start, start_cpu = time.perf_counter(), time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=wanted.precision == "bfloat16"):
            desc_BD = head(tok_BND, cls_BD)
        (desc_BD * weight_BD).sum().backward()
        return time.perf_counter() - start, time.process_time() - start_cpu

    with torch.autocast("cpu", torch.bfloat16, enabled=wanted.precision == "bfloat16"):
        head(tok_BND[:1, :100], cls_BD[:1]).sum().backward()  # what threads and libraries allocate once is no part of it
    before_mb = resident_mb()
    wall, cpu = (min(column) for column in zip(*(step() for _ in range(wanted.repeats)), strict=True))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb
    assert tok_BND.grad is not None
    return {"wall_s": wall, "cpu_s": cpu, "peak_mb": peak_mb, "check": float(tok_BND.grad.norm())}


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
