"""Describing pictures on an idle machine and beside another busy process, by how long threads spin before they sleep.

python benchmarks/busy_machine.py

The command `crossfix` sets GOMP_SPINCOUNT=10000; GNU OpenMP's own choice is what a plain script gets. The busy process trains a
network with as many threads as there are cores, spinning as it likes. Each figure is the median and the worst of five rounds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

WAYS = {"as OpenMP likes": {}, "10,000 spins": {"GOMP_SPINCOUNT": "10000"}, "no spinning": {"OMP_WAIT_POLICY": "PASSIVE"}}
BUSY = """
import timm, torch
model, pictures = timm.create_model("resnet34"), torch.randn(128, 3, 64, 64)
optimiser = torch.optim.AdamW(model.parameters())
print("busy", flush=True)
while True:
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(pictures).float().square().mean()
    loss.backward()
    optimiser.step()
    optimiser.zero_grad()
"""


def describe() -> None:
    """Print the seconds that 512 pictures take, after warming up."""
    import numpy as np

    from crossfix.models.registry import load

    model = load("gengeo-tiny")
    pictures = list(np.random.default_rng(0).integers(0, 255, (512, 128, 128, 3), dtype=np.uint8))
    model.describe(pictures[:64])
    start = time.perf_counter()
    model.describe(pictures)
    print(time.perf_counter() - start)


@contextmanager
def busy() -> Iterator[None]:
    """Another process that has all cores at work."""
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def seconds(way: dict[str, str]) -> str:
    """Median and worst of five rounds, each in a process of its own."""
    unset = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    rounds = [subprocess.run([sys.executable, __file__, "describe"], env=unset | way, check=True, capture_output=True) for _ in range(5)]
    taken = sorted(float(one.stdout) for one in rounds)
    return f"{taken[2]:.2f} s ({taken[4]:.2f})"


def main() -> None:
    idle = {name: seconds(way) for name, way in WAYS.items()}
    with busy():
        beside = {name: seconds(way) for name, way in WAYS.items()}
    for name in WAYS:
        print(f"{name}: idle {idle[name]}, beside a busy process {beside[name]}")


if __name__ == "__main__":
    describe() if sys.argv[1:] == ["describe"] else main()
