"""Descriptors a second of a model as crossfix runs it, against the same network in plain float32 PyTorch; resizing included in both.

    python benchmarks/describe_speed.py --model gengeo-tiny --threads 2

Without --model, several small encoders with random weights are measured: speed does not depend on the weights.
Plain PyTorch means: the network as built, evaluation mode, inference_mode, batches of the same size, float32, contiguous NCHW.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings

import cv2
import numpy as np
import torch

from crossfix.models import registry
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.describe import Describer, fit
from crossfix.models.gengeo import ArchConfig, GemConfig, SaladConfig, build

SALAD = SaladConfig(clusters=32, cluster_dim=16, token_dim=64, hidden=256)
CANDIDATES = [
    ArchConfig("resnet10t", 128, SALAD, stride=8),
    ArchConfig("resnet18", 128, SALAD, stride=16),
    ArchConfig("convnext_atto", 128, SALAD, stride=16),
    ArchConfig("mobilenetv4_conv_small", 128, SALAD, stride=16),
    ArchConfig("repvgg_a0", 128, GemConfig(dim=512), stride=16),
    ArchConfig("vit_tiny_patch16_224", 224, SALAD),
]


def plain(model, card, batch):
    """The reference: as a tutorial would write it, in float32."""
    px = card.preprocessing.px
    mean = torch.tensor(card.preprocessing.mean).view(1, 3, 1, 1)
    std = torch.tensor(card.preprocessing.std).view(1, 3, 1, 1)

    @torch.inference_mode()
    def describe(images):
        out = []
        for start in range(0, len(images), batch):
            pixels = np.stack([fit(image, px) for image in images[start : start + batch]])
            img = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 255
            out.append(model((img - mean) / std))
        return torch.cat(out).numpy()

    return describe


def seconds(fast, slow, images, rounds, clock):
    """Best time of each, taken in turn so that other load on the machine meets both."""
    now = time.process_time if clock == "cpu" else time.perf_counter
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for i, call in enumerate((fast, slow)):
            start = now()
            call(images)
            best[i] = min(best[i], now() - start)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="a model's name or folder; repeatable")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--side", type=int, default=256, help="side of the pictures described, in pixels")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu with --threads 1 is right on a busy machine too")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    warnings.simplefilter("ignore", registry.UntrainedHeadWarning)
    if args.model:
        models = [registry.open_model(name) for name in args.model]
    else:
        torch.manual_seed(0)
        models = [(build(c).eval(), ModelCard(f"{c.encoder}/{c.stride or 'vit'}", c, Preprocessing(c.px))) for c in CANDIDATES]
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (args.images, 32, 32, 3), dtype=np.uint8)
    images = [cv2.resize(c, (args.side, args.side), interpolation=cv2.INTER_CUBIC) for c in coarse]
    rows = []
    for model, card in models:
        describer = Describer(model, card, batch=args.batch)
        reference = plain(model, card, args.batch)
        cosine = float((describer.describe(images) * reference(images)).sum(1).min())
        fast, slow = seconds(describer.describe, reference, images, args.rounds, args.clock)
        row = {"model": card.name, "px": card.preprocessing.px, "dim": model.dim, "fast_per_s": args.images / fast}
        rows.append({**row, "plain_per_s": args.images / slow, "ratio": slow / fast, "least_cosine": cosine})
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{args.threads} threads, batches of {args.batch}, pictures of {args.side} px, best of {args.rounds} rounds, {args.clock} time")
    print(f"{'model':28} {'px':>4} {'dim':>5} {'crossfix/s':>11} {'plain/s':>8} {'ratio':>6} {'least cosine':>13}")
    for r in rows:
        speeds = f"{r['fast_per_s']:11.0f} {r['plain_per_s']:8.0f} {r['ratio']:6.2f}"
        print(f"{r['model']:28} {r['px']:4d} {r['dim']:5d} {speeds} {r['least_cosine']:13.6f}")


if __name__ == "__main__":
    main()
