"""Peak memory of `map build` on rasters of growing size, up to one gigapixel and beyond.

Makes a tiled GeoTIFF in a temporary folder (one strip of random texture again and again, so that it is made fast and stays small, but
every tile is stored and has to be decoded), indexes it in a process of its own, and prints that process's peak resident memory and time.
By default grey cells stand for a model, so that the memory is that of the map; `--describer gengeo-tiny` takes the bundled one.

    python benchmarks/map_memory.py --gigapixels 0.1 1.0 --side-m 400
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TILE = 512
GSD_M = 0.25


class Cells:
    """A describer of 8 x 8 grey cells."""

    model_id, sha256, dim, input_px = "cells", "0" * 64, 64, 224

    def describe(self, images, *, kind="satellite"):
        """Grey cells of unit norm."""
        cells = np.stack([image[::28, ::28].mean(axis=2).ravel() for image in images]).astype(np.float32)
        return cells / np.linalg.norm(cells, axis=1, keepdims=True)


def make_raster(path, gigapixels, layout):
    import rasterio
    from affine import Affine
    from rasterio.windows import Window

    side = round((gigapixels * 1e9) ** 0.5 / TILE) * TILE
    rng = np.random.default_rng(0)
    strip = np.kron(rng.integers(20, 250, (3, TILE // 16, side // 16), dtype=np.uint8), np.ones((1, 16, 16), np.uint8))
    profile = {"driver": "GTiff", "count": 3, "height": side, "width": side, "dtype": "uint8", "crs": "EPSG:32633", "bigtiff": "yes"}
    blocks = {"tiled": True, "blockxsize": TILE, "blockysize": TILE} if layout == "tiles" else {"blockysize": 1}
    transform = Affine(GSD_M, 0, 500000, 0, -GSD_M, 5600000)
    with rasterio.open(path, "w", transform=transform, compress="lzw", photometric="RGB", **blocks, **profile) as file:
        for top in range(0, side, TILE):
            file.write(np.roll(strip, 64 * top, axis=2), window=Window(0, top, side, TILE))
    return side


def build(raster, out, sides_m, overlap, describer):
    """Runs in the measured process."""
    from crossfix.index.build import build_index
    from crossfix.maps.plan import TilingPlan
    from crossfix.maps.raster import GeoMap

    if describer == "cells":
        model = Cells()
    else:
        from crossfix.models.registry import load

        model = load(describer)
    start = time.monotonic()
    with GeoMap.open([raster]) as geomap:
        index = build_index(geomap, model, out, TilingPlan(tuple(sides_m), overlap))
    # Not ru_maxrss: a process started by fork begins with its parent's.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"chips": len(index), "seconds": time.monotonic() - start, "peak_mb": int(peak.split()[1]) / 1024}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigapixels", type=float, nargs="+", default=[0.1, 1.0])
    parser.add_argument("--side-m", type=float, nargs="+", default=[200.0, 800.0])
    parser.add_argument("--overlap", type=float, default=0.5)
    parser.add_argument("--layout", choices=["tiles", "lines"], default="tiles")
    parser.add_argument("--describer", default="cells", help="cells, or a model's name or folder")
    parser.add_argument("--measured", nargs=2, metavar=("RASTER", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measured:
        build(*options.measured, options.side_m, options.overlap, options.describer)
        return
    print(f"{'raster':>20} {'file':>8} {'chips':>8} {'seconds':>8} {'peak':>8}")
    for gigapixels in options.gigapixels:
        with tempfile.TemporaryDirectory() as folder:
            raster = Path(folder) / "map.tif"
            side = make_raster(raster, gigapixels, options.layout)
            again = [sys.executable, __file__, "--measured", str(raster), str(Path(folder) / "map.cfx"), "--overlap", str(options.overlap)]
            again += ["--describer", options.describer, "--side-m", *map(str, options.side_m)]
            result = json.loads(subprocess.run(again, check=True, stdout=subprocess.PIPE).stdout)
            size = f"{raster.stat().st_size / 1e6:.0f} MB"
        print(f"{f'{side} x {side}':>20} {size:>8} {result['chips']:>8} {result['seconds']:>8.1f} {result['peak_mb']:>5.0f} MB", flush=True)


if __name__ == "__main__":
    main()
