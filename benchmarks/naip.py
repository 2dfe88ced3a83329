"""NAIP: crops of one date as photos, turned and scaled at random, on the map of every other date.

35 places of a 5 x 7 grid, pictures of 128 px (0.8 to 1.2 times 640 m), any heading, nothing known but the scale unless --heading. Prints
recall@1 of retrieval alone (the best chip's middle half holds the photo's centre), and errors in metres of the fix.

    python benchmarks/naip.py [--model gengeo-tiny|mobilenet] [--retrieval-only] [--pairs N] [--json FILE]
    python benchmarks/naip.py --crops [--model ...]     # the easier task: the gallery is the 35 true crops of the other date
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from pyproj import Transformer

from crossfix.evaluate.imagenet import MobileNetGem
from crossfix.geo.geodesy import LocalFrame
from crossfix.geo.photo import Photo, Prior, Sourced
from crossfix.index.build import build_index
from crossfix.index.store import MapIndex
from crossfix.locate.locator import Locator
from crossfix.locate.query import Query, Reduced, turn
from crossfix.locate.retrieve import describe, retrieve
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap
from crossfix.models import registry
from shared_folder import shared

COLUMNS, ROWS, PX, SIDE_M = 7, 5, 128, 640.0
FOV_DEG = 60.0
SEASONS = {"06": "early summer", "07": "mid summer", "08": "late summer", "09": "autumn"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gengeo-tiny", help="a name crossfix knows, a model folder, or mobilenet")
    parser.add_argument("--heading", action="store_true", help="let the photos know their heading")
    parser.add_argument("--retrieval-only", action="store_true")
    parser.add_argument("--crops", action="store_true", help="retrieve among the 35 true crops, north-up and at 640 m, instead of a map")
    parser.add_argument("--pairs", type=int, help="so many pairs: every (90 / N)th in order of the photos' date, then the map's")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    folder = shared()
    weights = folder / "weights" / "mobilenetv2_100.imagenet.safetensors"
    describer = MobileNetGem(weights) if wanted.model == "mobilenet" else registry.load(wanted.model)
    paths = sorted((folder / "data" / "naip").glob("*.tif"))
    if wanted.crops:
        crops(paths, describer)
        return
    pairs = [(a, b) for a in range(len(paths)) for b in range(len(paths)) if a != b]
    if wanted.pairs:
        pairs = [pairs[k * len(pairs) // wanted.pairs] for k in range(wanted.pairs)]
    rows = []
    with tempfile.TemporaryDirectory() as space:
        queries = {a: photos(paths[a], seed=a, heading=wanted.heading) for a in sorted({a for a, _ in pairs})}
        for b in sorted({b for _, b in pairs}):
            with GeoMap.open([paths[b]]) as geomap:
                index = build_index(geomap, describer, Path(space) / f"{b}.cfx", TilingPlan((453.0, 640.0, 905.0), 0.5))
                locator = Locator(index, describer)
                for a in sorted(a for a, to in pairs if to == b):
                    rows.append(
                        measure(queries[a], index, describer, locator, wanted.retrieval_only)
                        | {"photo": date(paths[a]), "map": date(paths[b])}
                    )
                    print(f"{date(paths[a])} on {date(paths[b])}: {rows[-1]}", flush=True)
    tables(rows, wanted.retrieval_only)
    if wanted.json:
        wanted.json.write_text(json.dumps({"model": describer.model_id, "sha256": describer.sha256, "pairs": rows}, indent=1) + "\n")


def crops(paths: list[Path], describer) -> None:
    """R@1 among 35 crops, mean over all pairs of dates: turned and scaled photos as they are, and the best of their quarter turns."""
    single, best = [], []
    for a, path in enumerate(paths):
        taken = photos(path, seed=a, heading=False)
        pictures = [photo.pixels for photo, _, _ in taken]
        turned = np.stack([describer.describe([np.ascontiguousarray(np.rot90(one, k)) for one in pictures]) for k in range(4)], 1)
        for b, other in enumerate(paths):
            if a == b:
                continue
            with GeoMap.open([other]) as geomap:
                gallery = describer.describe([geomap.read_square(lon, lat, SIDE_M, PX).pixels for _, lon, lat in taken])
            scores = np.einsum("qrd,gd->rqg", turned, gallery)
            single.append(np.mean(scores[0].argmax(1) == np.arange(len(taken))))
            best.append(np.mean(scores.max(0).argmax(1) == np.arange(len(taken))))
    print(f"R@1 among 35 crops, mean of {len(single)} pairs: {np.mean(single):.3f}; best of four quarter turns: {np.mean(best):.3f}")


def date(path: Path) -> str:
    return path.stem[-8:]


def photos(path: Path, *, seed: int, heading: bool) -> list[tuple[Photo, float, float]]:
    """Pictures of one date with the lon and lat of their centres, as a camera straight above would take them."""
    rng = np.random.default_rng(seed)
    taken = []
    with rasterio.open(path) as raster:
        to_lonlat = Transformer.from_crs(raster.crs, 4326, always_xy=True)
        bounds = raster.bounds
    with GeoMap.open([path]) as geomap:
        for number in range(COLUMNS * ROWS):
            column, row = number % COLUMNS, number // COLUMNS
            margin = 0.75 * SIDE_M
            x = bounds.left + margin + (bounds.right - bounds.left - 2 * margin) * column / (COLUMNS - 1)
            y = bounds.bottom + margin + (bounds.top - bounds.bottom - 2 * margin) * row / (ROWS - 1)
            lon, lat = to_lonlat.transform(x + rng.uniform(-40, 40), y + rng.uniform(-40, 40))
            side, bearing = SIDE_M * rng.uniform(0.8, 1.2), float(rng.uniform(0, 360))
            chip = geomap.read_square(lon, lat, 1.5 * side, 3 * PX)
            step = side / PX / chip.gsd_m
            centre = (chip.px - 1) / 2
            to_chip = np.array([[1, 0, centre], [0, 1, centre], [0, 0, 1]]) @ turn(bearing).T
            to_chip = to_chip @ np.array([[step, 0, -step * (PX - 1) / 2], [0, step, -step * (PX - 1) / 2], [0, 0, 1]])
            pixels, _ = Reduced(chip.pixels).warp(to_chip, (PX, PX))
            height = side / 2 / np.tan(np.radians(FOV_DEG / 2))
            prior = Prior(
                height_m=told(height), fov_deg=told(FOV_DEG), pitch_deg=told(-90.0), heading_deg=told(bearing) if heading else None
            )
            taken.append((Photo(f"{date(path)}-{number:02d}", None, pixels, prior), lon, lat))
    return taken


def told(value: float) -> Sourced:
    return Sourced(float(value), "test")


def measure(queries: list[tuple[Photo, float, float]], index: MapIndex, describer, locator: Locator, retrieval_only: bool) -> dict:
    found, errors, accepted = 0, [], []
    start = time.perf_counter()
    for photo, lon, lat in queries:
        frame = LocalFrame(lon, lat)
        query = Query.prepare(photo, photo.prior)
        hit = retrieve(query, describe(query, describer), index, frame, top=1, near=None)[0]
        found += max(abs(hit.east_m), abs(hit.north_m)) <= hit.side_m / 4
        if not retrieval_only:
            fix = locator.locate(photo)
            errors.append(float(np.hypot(*frame.to_local(fix.centre_lon, fix.centre_lat))))
            accepted.append(fix.accepted)
    row = {"recall_at_1": round(found / len(queries), 3), "seconds": round((time.perf_counter() - start) / len(queries), 2)}
    if errors:
        row |= {
            "within_10_m": sum(error <= 10 for error in errors),
            "within_25_m": sum(error <= 25 for error in errors),
            "median_m": round(statistics.median(errors), 1),
            "accepted": sum(accepted),
            "accepted_wrong": sum(taken and error > 25 for taken, error in zip(accepted, errors, strict=True)),
            "photos": len(errors),
        }
    return row


def tables(rows: list[dict], retrieval_only: bool) -> None:
    dates = sorted({row["photo"] for row in rows} | {row["map"] for row in rows})
    by_pair = {(row["photo"], row["map"]): row for row in rows}
    print("\nR@1 of retrieval, %, photo's date down, map's date across\n")
    print("| | " + " | ".join(dates) + " |\n|---" * 1 + "|---" * len(dates) + "|")
    for one in dates:
        cells = [f"{100 * by_pair[one, other]['recall_at_1']:.0f}" if (one, other) in by_pair else "" for other in dates]
        print(f"| {one} | " + " | ".join(cells) + " |")
    print("\n| time of year | pairs | mean R@1 | within 10 m | within 25 m | median m | accepted | accepted wrong |\n" + "|---" * 8 + "|")
    groups: dict[str, list[dict]] = {"all": rows}
    for row in rows:
        names = sorted({SEASONS[row["photo"][4:6]], SEASONS[row["map"][4:6]]}, key=list(SEASONS.values()).index)
        groups.setdefault(" and ".join(names) if len(names) == 2 else f"both {names[0]}", []).append(row)
    for name, group in groups.items():
        line = [name, str(len(group)), f"{statistics.mean(row['recall_at_1'] for row in group):.3f}"]
        if not retrieval_only:
            count = sum(row["photos"] for row in group)
            line += [f"{100 * sum(row[key] for row in group) / count:.1f} %" for key in ("within_10_m", "within_25_m")]
            line += [f"{statistics.median(row['median_m'] for row in group):.1f}"]
            line += [f"{100 * sum(row[key] for row in group) / count:.1f} %" for key in ("accepted", "accepted_wrong")]
        print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()
