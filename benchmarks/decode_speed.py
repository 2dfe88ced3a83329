"""Images a second from JPEG files to normalised float tensors at 384 x 384, on two cores: crossfix beside the way of Sample4Geo.

    python benchmarks/decode_speed.py

The tree is University-1652-like: JPEGs of 512 x 512 pixels at quality 92, seeded textures of several scales and sensor noise, written to a
temporary folder and read from the cache; --root takes the JPEGs of a folder instead. Sample4Geo's way is a torch DataLoader with as many
worker processes, started before the clock: cv2.imread, cvtColor, INTER_LINEAR_EXACT, albumentations' normalisation (numpy's arithmetic, or
with --normalise opencv the calls of OpenCV that albumentations 1.3 makes for three channels, faster ones), transposed to a tensor, collated
in batches. Ours is what `crossfix evaluate` does before the network runs: `read_ahead` with the model's own `prepare`, then
`Describer.tensors`. The two alternate; medians of the rounds. Nothing consumes the tensors but a sum over a few values. Processor seconds
of all processes are told too: on a busy machine they say more than the clock.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

CLOCKS = ("wall", "cpu")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def draw(root, count, px):
    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        picture = np.full((px, px, 3), 120.0, np.float32)
        for side, strength in ((6, 30), (24, 22), (96, 16), (px, 7)):
            texture = rng.standard_normal((side, side, 3)).astype(np.float32) * strength
            picture += cv2.resize(texture, (px, px), interpolation=cv2.INTER_CUBIC)
        path = root / f"{number // 54:04d}" / f"image-{number % 54:02d}.jpeg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path, quality=92)
        paths.append(path)
    return paths


class Theirs:
    """The data set class of Sample4Geo's evaluation."""

    def __init__(self, paths, px, normalise):
        self.paths, self.px, self.opencv = [str(path) for path in paths], px, normalise == "opencv"
        mean = np.array(MEAN, np.float32) * 255
        share = np.reciprocal(np.array(STD, np.float32) * 255)
        self.flat = mean, share
        self.mean = np.array([*mean.tolist(), 0.0], np.float64)
        self.share = np.array([*share.tolist(), 1.0], np.float64)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, row):
        cv2.setNumThreads(1)  # of workers, as many as cores
        picture = cv2.cvtColor(cv2.imread(self.paths[row]), cv2.COLOR_BGR2RGB)
        picture = cv2.resize(picture, (self.px, self.px), interpolation=cv2.INTER_LINEAR_EXACT)
        values = picture.astype(np.float32)
        if self.opencv:
            cv2.subtract(values, self.mean, values)
            cv2.multiply(values, self.share, values)
        else:
            values -= self.flat[0]
            values *= self.flat[1]
        return torch.from_numpy(values.transpose(2, 0, 1)), row


def ours(describer, views):
    for pictures in read_ahead(views, None, describer.prepare):
        for _, img_BCHW in describer.tensors(pictures):
            yield img_BCHW


def found(root, count):
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    return [paths[number % len(paths)] for number in range(count)]


def used():
    """Processor seconds of this process and its workers."""
    ticks = os.sysconf("SC_CLK_TCK")
    stats = [Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split() for child in multiprocessing.active_children()]
    return time.process_time() + sum(int(stat[11]) + int(stat[12]) for stat in stats) / ticks


def timed(batches, count):
    start, before = time.perf_counter(), used()
    seen, total = 0, 0.0
    for img_BCHW in batches:
        seen += len(img_BCHW)
        total += float(img_BCHW[:, :, ::96, ::96].sum())
    assert seen == count
    return {"wall": count / (time.perf_counter() - start), "cpu": count / (used() - before)}


def main():
    args = parse()
    cv2.setNumThreads(1)
    config = ArchConfig("resnet18", args.px, MeanConfig(), stride=16)  # never run: what comes before it is timed
    describer = Describer(build(config), ModelCard("none", config, Preprocessing(args.px, MEAN, STD)))
    with tempfile.TemporaryDirectory() as folder:
        paths = draw(Path(folder), args.images, args.file_px) if args.root is None else found(args.root, args.images)
        kilobytes = statistics.mean(path.stat().st_size for path in paths) / 1000
        views = [View(path, path.parent.name) for path in paths]
        loader = torch.utils.data.DataLoader(
            Theirs(paths, args.px, args.normalise), batch_size=64, num_workers=args.threads, persistent_workers=True
        )
        rates = {"Sample4Geo": [], "crossfix": []}
        for turn in range(args.rounds + 1):
            ways = {"Sample4Geo": (img for img, _ in loader), "crossfix": ours(describer, views)}
            for name, batches in ways.items():
                rate = timed(batches, args.images)
                if turn:  # the first starts the workers and warms the caches
                    rates[name].append(rate)
    both = list(zip(rates["crossfix"], rates["Sample4Geo"], strict=True))
    medians = {name: {clock: statistics.median(rate[clock] for rate in found) for clock in CLOCKS} for name, found in rates.items()}
    ratio = {clock: statistics.median(one[clock] / other[clock] for one, other in both) for clock in CLOCKS}
    sizes = {"images": args.images, "kilobytes": round(kilobytes), "file_px": args.file_px, "px": args.px, "threads": args.threads}
    if args.json:
        print(json.dumps({**sizes, "images_per_second": medians, "ratio": ratio, "rounds": rates}, indent=2))
        return
    print(f"{args.images} JPEGs of {kilobytes:.0f} kB to {args.px}², {args.threads} cores, {args.normalise}")
    for name, rate in medians.items():
        print(f"{name:12} {rate['wall']:8.0f} images a second of the clock {rate['cpu']:8.0f} a second of a core")
    print(f"{'ratio':12} {ratio['wall']:8.2f} {ratio['cpu']:33.2f} (medians of the rounds)")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--file-px", type=int, default=512, help="side of the JPEGs")
    parser.add_argument("--root", type=Path, help="a folder with JPEGs to read instead, as often as needed")
    parser.add_argument("--px", type=int, default=384, help="side of the tensors")
    parser.add_argument("--threads", type=int, default=2, help="cores: worker processes of theirs; ours takes all that the machine has")
    parser.add_argument("--normalise", choices=["numpy", "opencv"], default="numpy", help="how theirs does")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    # the libraries read these when they are imported
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(parse().threads)
    import cv2
    import numpy as np
    import torch
    from PIL import Image

    from crossfix.data.view import View
    from crossfix.evaluate.describe import read_ahead
    from crossfix.models.card import ModelCard, Preprocessing
    from crossfix.models.describe import Describer
    from crossfix.models.gengeo import ArchConfig, MeanConfig, build

    main()
