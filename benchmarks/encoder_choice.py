"""Which encoder and head for gengeo-tiny: accuracy on unseen regions against CPU time, at equal steps.

    python benchmarks/encoder_choice.py TRAIN_BANK TEST_BANK UNSEEN_BANK --steps 400 [--only NAME ...]

The banks are folders of `crossfix.worlds.pairs`. CPU seconds are summed over threads, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

from crossfix.evaluate.bank import chips, score_bank
from crossfix.models.describe import Describer
from crossfix.models.folder import load_model
from crossfix.models.gengeo import ArchConfig, GemConfig, SaladConfig
from crossfix.train.loop import train
from crossfix.train.recipes import recipe
from crossfix.worlds.pairs import PairBank

SALAD = SaladConfig(clusters=16, cluster_dim=32, token_dim=64, hidden=256, dropout=0.0)
VARIANTS = {
    "resnet34, stride 8, 64 px, SALAD": ArchConfig("resnet34", 64, SALAD, stride=8),
    "resnet18, stride 8, 64 px, SALAD": ArchConfig("resnet18", 64, SALAD, stride=8),
    "resnet18, stride 8, 64 px, GeM": ArchConfig("resnet18", 64, GemConfig(256), stride=8),
    "resnet18, stride 8, 96 px, SALAD": ArchConfig("resnet18", 96, SALAD, stride=8),
    "resnet18, stride 16, 96 px, SALAD": ArchConfig("resnet18", 96, SALAD, stride=16),
    "resnet10t, stride 8, 64 px, SALAD": ArchConfig("resnet10t", 64, SALAD, stride=8),
    "convnext_atto, stride 8, 64 px, SALAD": ArchConfig("convnext_atto", 64, SALAD, stride=8),
    "mobilenetv4_conv_small, stride 8, 64 px, SALAD": ArchConfig("mobilenetv4_conv_small", 64, SALAD, stride=8),
    "vit_tiny, patch 8, 64 px, SALAD": ArchConfig("vit_tiny_patch16_224", 64, SALAD, timm_kwargs={"img_size": 64, "patch_size": 8}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("banks", nargs=3, type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS))
    args = parser.parse_args()
    banks = [PairBank.open(folder) for folder in args.banks]
    base = recipe("gengeo-tiny-drone")
    print("| variant | parameters, M | CPU s a training step | CPU ms an image | R@1 seen regions | R@1 unseen region |", flush=True)
    print("|---|---|---|---|---|---|", flush=True)
    for name in args.only:
        optim = dataclasses.replace(base.optim, warmup_steps=min(base.optim.warmup_steps, args.steps // 5))
        config = dataclasses.replace(
            base, arch=VARIANTS[name], steps=args.steps, validate_every=args.steps, checkpoint_every=args.steps, ema=0.0, optim=optim,
            augment=dataclasses.replace(base.augment, curriculum_steps=args.steps // 2),
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            start = time.process_time()
            train(config, Path(folder) / "run", bank=banks[0])
            step_s = (time.process_time() - start) / args.steps
            model, card = load_model(Path(folder) / "run")
            describer = Describer(model, card)
        pictures = chips(banks[1])[:128]
        describer.describe(pictures[:32])
        start = time.process_time()
        describer.describe(pictures)
        image_ms = (time.process_time() - start) / len(pictures) * 1000
        seen, unseen = (score_bank(bank, describer).scores["R@1"] for bank in banks[1:])
        size = sum(p.numel() for p in model.parameters()) / 1e6
        cells = (f"{size:.2f}", f"{step_s:.2f}", f"{image_ms:.2f}", *(f"{s.value:.3f} [{s.low:.3f}, {s.high:.3f}]" for s in (seen, unseen)))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
