"""Peak memory of a contrastive batch with gradient caching and without, on the CPU.

    python benchmarks/gradcache_memory.py --pairs 128 --micro 4 8 16

A small vision transformer (128 wide, 8 blocks, patches of 16, 1.7 M parameters) describes panoramas and satellite pictures with one set of
weights, and symmetric InfoNCE takes all pairs' descriptors. Each row is a process of its own, which first takes a step of two pairs. Memory
is what the step of the whole batch adds at its peak to what the process held before it (weights, their gradients, the pictures); beside it
stands the peak of the whole process. Gradients must agree.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path


def memory_mb(name):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def plain_step(encode, loss, inputs):
    value = loss(*[encode(img) for img in inputs])
    value.backward()
    return value.detach()


def measured(pairs, micro):
    """Runs in the measured process; a micro-batch of 0 keeps all activations."""
    torch.manual_seed(0)
    shape = {"img_size": 112, "patch_size": 16, "embed_dim": 128, "depth": 8, "num_heads": 2, "num_classes": 0, "dynamic_img_size": True}
    model, loss = VisionTransformer(**shape), InfoNCE()

    def encode(img_BCHW):
        return torch.nn.functional.normalize(model(img_BCHW), dim=1)

    def step(inputs):
        return gradcache_step(encode, loss, inputs, micro) if micro else plain_step(encode, loss, inputs)

    inputs = [torch.randn(pairs, 3, 64, 192), torch.randn(pairs, 3, 112, 112)]
    step([img[:2] for img in inputs])
    for parameter in model.parameters():
        parameter.grad.zero_()
    before = memory_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    wall, cpu = time.perf_counter(), time.process_time()
    value = step(inputs)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = memory_mb("VmHWM")
    grad = torch.cat([parameter.grad.reshape(-1) for parameter in model.parameters()])
    print(json.dumps({"peak": peak, "step": peak - before, "wall": wall, "cpu": cpu, "loss": float(value), "grad": grad[::5000].tolist()}))


def main():
    options = parse()
    if options.measured:
        measured(*options.measured)
        return
    print(f"{options.pairs} pairs of 64 x 192 and 112 x 112 pixels, {options.threads} threads")
    print(f"{'micro-batch':>12} {'step':>9} {'share':>6} {'process':>9} {'share':>6} {'wall s':>7} {'CPU s':>7} {'gradient off by':>16}")
    whole = None
    for micro in (0, *options.micro):
        again = [sys.executable, __file__, "--measured", str(options.pairs), str(micro), "--threads", str(options.threads)]
        row = json.loads(subprocess.run(again, check=True, stdout=subprocess.PIPE).stdout)
        whole = whole or row
        off = max(abs(one - other) for one, other in zip(row["grad"], whole["grad"], strict=True))
        shares = [f"{row[name]:>6.0f} MB {row[name] / whole[name]:>6.3f}" for name in ("step", "peak")]
        print(f"{micro or 'none':>12} {' '.join(shares)} {row['wall']:>7.1f} {row['cpu']:>7.1f} {off:>16.1e}", flush=True)
        assert off < 1e-5 * max(1.0, *map(abs, whole["grad"])), "the gradients are not the whole batch's"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=128)
    parser.add_argument("--micro", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--measured", type=int, nargs=2, metavar=("PAIRS", "MICRO"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    # the libraries read these when they are imported
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(parse().threads)
    import torch
    from timm.models.vision_transformer import VisionTransformer

    from crossfix.losses.contrastive import InfoNCE
    from crossfix.train.gradcache import gradcache_step

    main()
