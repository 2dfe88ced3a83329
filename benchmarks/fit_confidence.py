"""Fits the confidence of `locate` on worlds and writes its coefficients with their provenance.

Renders a map and drone photos of another day for each world, hides the position (and for half of the photos the heading, for a part the
height), locates them, and fits a logistic model of P(centre within 25 m) on the evidence. Every second world's map is also asked for the
photos of the next world, where no answer is right: without them a confidence never learns what a foreign place looks like. The threshold
is the lowest that keeps 99 % precision on the fitting data, moved up by half a unit of log odds; the precision reported is that of worlds
left out in turn.

    python benchmarks/fit_confidence.py --space /tmp/fit [--worlds 8] [--photos 40] [--write]
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from crossfix import __version__
from crossfix.errors import CrossfixError
from crossfix.geo.geodesy import distance_m
from crossfix.geo.metadata import read_photo
from crossfix.geo.photo import Photo, Prior
from crossfix.index.build import build_index
from crossfix.locate import confidence
from crossfix.locate.locator import Locator
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap
from crossfix.models import registry
from crossfix.worlds import REGIONS, Epoch, World
from crossfix.worlds.write import write_map, write_photos

RIGHT_M = 25.0
SIGNS = dict.fromkeys(confidence.FEATURES, 1) | {"scale_off": -1, "heading_off": -1}
LON, LAT = 9.0, 48.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", type=Path, required=True, help="folder for worlds and samples; what is there is used again")
    parser.add_argument("--worlds", type=int, default=8)
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--size-m", type=float, default=800.0)
    parser.add_argument("--model", default="gengeo-tiny")
    parser.add_argument("--write", action="store_true", help="replace the coefficients of the package")
    wanted = parser.parse_args()
    describer = registry.load(wanted.model)
    names = list(REGIONS)
    places = [(names[k % len(names)], 1000 + k) for k in range(wanted.worlds)]
    for region, seed in places:
        render(wanted.space / f"{region}-{seed}", region, seed, wanted.size_m, wanted.photos)
    samples = []
    for k, (region, seed) in enumerate(places):
        other_region, other_seed = places[(k + 1) % len(places)]
        folder = wanted.space / f"{region}-{seed}"
        foreign = wanted.space / f"{other_region}-{other_seed}" if k % 2 else None
        samples += measure(folder, foreign, describer)
        right = sum(one["right"] for one in samples)
        print(f"{region} {seed}: {len(samples)} samples so far, {right} right", flush=True)
    report(samples, describer.model_id, wanted)


def render(folder: Path, region: str, seed: int, size_m: float, photos: int) -> None:
    if (folder / "photos" / "truth.csv").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    world = World(region, seed, size_m, lon=LON, lat=LAT)
    write_map(world, world.scene(Epoch.draw(2 * seed, "map")), folder / "map.tif", gsd_m=0.5)
    write_photos(world, world.scene(Epoch.draw(2 * seed + 1, "photo")), folder / "photos", kind="drone", count=photos, seed=seed)
    print(f"rendered {folder.name}", flush=True)


def measure(folder: Path, foreign: Path | None, describer) -> list[dict]:
    kept = folder / f"samples-{describer.sha256[:12]}-{'own' if foreign is None else foreign.name}.json"
    if kept.is_file():
        return json.loads(kept.read_text())
    samples = []
    with GeoMap.open([folder / "map.tif"]) as geomap:
        index = build_index(geomap, describer, folder / f"{describer.sha256[:12]}.cfx", TilingPlan.default(geomap))
        locator = Locator(index, describer)
        for source in [folder] if foreign is None else [folder, foreign]:
            with (source / "photos" / "truth.csv").open(newline="") as file:
                rows = list(csv.DictReader(file))
            for number, row in enumerate(rows):
                photo = read_photo(source / "photos" / row["photo"])
                sample = judged(locator, photo, hidden(photo, number), row if source == folder else None)
                if sample is not None:
                    samples.append({"world": folder.name, **sample})
    kept.write_text(json.dumps(samples))
    return samples


def hidden(photo: Photo, number: int) -> Prior:
    """Position always hidden, heading every second time, height every fifth."""
    prior = photo.prior.without_position()
    if number % 2:
        prior = replace(prior, heading_deg=None)
    return replace(prior, height_m=None) if number % 5 == 4 else prior


def judged(locator: Locator, photo: Photo, prior: Prior, truth: dict[str, str] | None) -> dict | None:
    try:
        fix = locator.locate(photo, prior)
    except CrossfixError:
        return None
    error = None
    if truth is not None:
        error = float(distance_m(fix.centre_lon, fix.centre_lat, float(truth["centre_lon"]), float(truth["centre_lat"])))
    return {
        "features": fix.features,
        "method": fix.method,
        "error_m": error,
        "radius95_m": fix.radius95_m,
        "right": error is not None and error <= RIGHT_M,
    }


def report(samples: list[dict], model_id: str, wanted: argparse.Namespace) -> None:
    # A fix that only retrieval decided is never accepted, so it has no say in how sure the others are.
    told = [one for one in samples if one["method"] != "retrieval"]
    features = np.array([confidence.as_vector(one["features"]) for one in told])
    right = np.array([one["right"] for one in told])
    worlds = np.array([one["world"] for one in told])
    signs = tuple(SIGNS[name] for name in confidence.FEATURES)
    left_out = np.zeros(len(told))
    accepted = np.zeros(len(told), dtype=bool)
    for world in np.unique(worlds):
        train = worlds != world
        model = fitted(features[train], right[train], signs, {})
        left_out[~train] = [model.confidence(one["features"]) for one, skip in zip(told, train, strict=True) if not skip]
        accepted[~train] = left_out[~train] >= model.threshold
    precision = float(right[accepted].mean()) if accepted.any() else float("nan")
    coverage = float((accepted & right).sum() / max(right.sum(), 1))
    provenance = {
        "how": "benchmarks/fit_confidence.py",
        "crossfix": __version__,
        "model": model_id,
        "right_within_m": RIGHT_M,
        "worlds": sorted(set(worlds.tolist())),
        "samples": len(told),
        "right": int(right.sum()),
        "left_out_precision_of_accepted": round(precision, 4),
        "left_out_share_of_right_accepted": round(coverage, 4),
        "left_out_calibration_error": round(calibration_error(left_out, right), 4),
    }
    model = fitted(features, right, signs, provenance)
    text = json.dumps(model.to_dict(), indent=1) + "\n"
    print(text)
    circles(samples)
    if wanted.write:
        confidence.COEFFICIENTS.write_text(text, encoding="utf-8")


def fitted(features: np.ndarray, right: np.ndarray, signs: tuple[int, ...], provenance: dict) -> confidence.Model:
    intercept, weights = confidence.fit(features, right, signs=signs)
    model = confidence.Model(intercept, weights, 0.5, provenance)
    scores = 1 / (1 + np.exp(-np.clip(intercept + features @ weights, -60, 60)))
    return replace(model, threshold=confidence.threshold_for(scores, right))


def calibration_error(told: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error over equal-width bins."""
    which = np.minimum((told * bins).astype(int), bins - 1)
    total = 0.0
    for number in range(bins):
        inside = which == number
        if inside.any():
            total += inside.mean() * abs(told[inside].mean() - right[inside].mean())
    return float(total)


def circles(samples: list[dict]) -> None:
    """How often the 95 % circle of a right fix holds the truth, by method, and how much wider than needed it is."""
    print("| method | right fixes | truth in the 95 % circle | median of error / radius |")
    print("|---|---|---|---|")
    for method in ("registration", "correlation"):
        right = [one for one in samples if one["right"] and one["method"] == method]
        ratios = [one["error_m"] / max(one["radius95_m"], 1e-9) for one in right]
        if ratios:
            inside = sum(ratio <= 1 for ratio in ratios) / len(ratios)
            print(f"| {method} | {len(ratios)} | {inside:.1%} | {sorted(ratios)[math.floor(len(ratios) / 2)]:.2f} |")


if __name__ == "__main__":
    main()
