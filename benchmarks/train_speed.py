"""Pictures a second of training, from JPEG files to the optimiser's step, on two cores: crossfix beside the same network in a plain loop.

    crossfix lab make lab --small
    python benchmarks/train_speed.py lab [--threads 2] [--encoder resnet34]

The plain loop is what a user writes first: a torch DataLoader with as many worker processes as threads, PIL pictures, torchvision's
transforms picture by picture (a crop, a turn, a jitter of colours, to a tensor, normalised), the network in float32 as it was built, both
views described one after the other, the same symmetric InfoNCE, AdamW. Ours is `crossfix.train.loop.train` on the same pictures: bfloat16
autocast, channels last, both views as one batch, a batch's augmentation as one operation, pictures kept in memory once they were read.
Both take each picture 96 pixels wide and give 64 to the network. Each runs in processes of its own, by turns; medians of the rounds. The
first steps of a run are not counted. `--precision 32-true` shows how much of it is arithmetic.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PX, STORED_PX = 64, 96


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of worlds-v1")
    parser.add_argument("--encoder", default="resnet34")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--warm", type=int, default=20, help="steps that are not counted; a multiple of 10")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="bf16-mixed", help="of ours")
    parser.add_argument("--form", choices=("ours", "plain"), help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.form is not None:
        print(json.dumps(ours(wanted) if wanted.form == "ours" else plain(wanted)))
        return
    found: dict[str, list[float]] = {"ours": [], "plain": []}
    env = os.environ | {"OMP_NUM_THREADS": str(wanted.threads)}
    for _ in range(wanted.rounds):
        for form, runs in found.items():
            command = [sys.executable, __file__, *sys.argv[1:], "--form", form]
            runs.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env).stdout.splitlines()[-1]))
    print(f"{wanted.encoder}, {PX} px, {wanted.pairs} pairs, {wanted.threads} threads, {wanted.precision}\n")
    print("| | pictures a second, rounds | median |\n|---|---|---|")
    median = {form: statistics.median(runs) for form, runs in found.items()}
    for form, runs in found.items():
        print(f"| {form} | {', '.join(f'{run:.0f}' for run in runs)} | {median[form]:.0f} |")
    print(f"\nratio of the medians: {median['ours'] / median['plain']:.2f}")


def arch(wanted: argparse.Namespace):
    from crossfix.models.gengeo import ArchConfig, SaladConfig

    return ArchConfig(wanted.encoder, PX, SaladConfig(clusters=16, cluster_dim=32, token_dim=64, hidden=256, dropout=0.0), stride=8)


def ours(wanted: argparse.Namespace) -> float:
    """Pictures a second, as the run's own log has them."""
    import torch

    from crossfix.train.config import SetData, TrainConfig
    from crossfix.train.loop import train
    from crossfix.train.recipes import recipe

    torch.set_num_threads(wanted.threads)
    augment = dataclasses.replace(recipe("gengeo-tiny-drone").augment, curriculum_steps=0)
    config = TrainConfig(
        recipe="speed",
        arch=arch(wanted),
        data=SetData("worlds-v1", "train", "d2s", (STORED_PX, STORED_PX), STORED_PX, draw="place"),
        steps=wanted.warm + wanted.steps,
        batch=wanted.pairs,
        held_out=2,
        augment=augment,
        precision=wanted.precision,
        validate_every=10**6,
        checkpoint_every=10**6,
    )
    with tempfile.TemporaryDirectory() as folder:
        train(config, Path(folder) / "run", root=wanted.root, memory_gb=1.0)
        lines = [json.loads(line) for line in (Path(folder) / "run/log.jsonl").read_text().splitlines()]
    counted = [line["images_per_s"] for line in lines if line["step"] > wanted.warm and "images_per_s" in line]
    return statistics.harmonic_mean(counted)


class Pairs:
    """A data set as torch's loader takes it: a place's satellite picture and its drone pictures in turn, as tensors."""

    def __init__(self, root: Path) -> None:
        from torchvision.transforms import v2

        from crossfix.data.worldsv1 import WorldsV1

        task = WorldsV1(root).task("train", "d2s")
        satellite = {view.place: view.path for view in task.gallery}
        self.pairs = [(satellite[view.place], view.path, number) for number, view in enumerate(task.query)]
        cut = v2.RandomResizedCrop(PX, scale=(0.4, 0.6), ratio=(1.0, 1.0), antialias=True)
        turn, jitter = v2.RandomRotation(10, interpolation=v2.InterpolationMode.BILINEAR), v2.ColorJitter(0.2, 0.2, 0.3, 0.02)
        self.change = v2.Compose([v2.Resize(STORED_PX), turn, cut, jitter, v2.PILToTensor(), *_floats(v2)])

    def __len__(self) -> int:
        return 10**6

    def __getitem__(self, number: int):
        from PIL import Image

        satellite, drone, place = self.pairs[(number * 7919) % len(self.pairs)]
        return self.change(Image.open(satellite).convert("RGB")), self.change(Image.open(drone).convert("RGB")), place


def _floats(v2):
    import torch

    return v2.ToDtype(torch.float32, scale=True), v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def plain(wanted: argparse.Namespace) -> float:
    """Pictures a second of the plain loop."""
    import torch

    from crossfix.losses.contrastive import InfoNCE
    from crossfix.models.gengeo import build

    torch.set_num_threads(wanted.threads)
    torch.manual_seed(0)
    model, loss = build(arch(wanted)).train(), InfoNCE()
    optimizer = torch.optim.AdamW([*model.parameters(), *loss.parameters()], lr=1e-3)
    loader = iter(torch.utils.data.DataLoader(Pairs(wanted.root), wanted.pairs, num_workers=wanted.threads))
    for step in range(wanted.warm + wanted.steps):
        if step == wanted.warm:
            began = time.perf_counter()
        satellite_BCHW, drone_BCHW, place_B = next(loader)
        value = loss(model(drone_BCHW), model(satellite_BCHW), place_B)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return wanted.steps * 2 * wanted.pairs / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
