"""Brighton: 18 real drone photos on two maps, with the position hidden and with a position 50 m wrong.

Prints one table a model. Errors are distances from the matched photo centre in truth.csv, and in the last two columns from the camera's
place there; the six photos whose centre lies off the map (their truth is good to 1-2 m) stand apart.

    python benchmarks/brighton.py [--model gengeo-tiny|mobilenet] [--json FILE]
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
import time
from pathlib import Path

from crossfix.evaluate.imagenet import MobileNetGem
from crossfix.geo.geodesy import distance_m, offset
from crossfix.geo.metadata import read_photo
from crossfix.geo.photo import Prior, Sourced
from crossfix.index.build import build_index
from crossfix.locate.locator import Locator
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap
from crossfix.models import registry
from shared_folder import shared

WRONG_BY_M = 50.0
RADIUS_M = 100.0
HEADER = (
    "| map | position | photos | within 2 m | 5 m | 10 m | 25 m | median m | accepted | of them within 5 m | in the 95 % circle "
    "| s a photo | camera: median m | in its 95 % circle |"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gengeo-tiny", help="a name crossfix knows, or mobilenet")
    parser.add_argument("--matcher", default="sift")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--verbose", action="store_true")
    wanted = parser.parse_args()
    folder = shared()
    describer = (
        MobileNetGem(folder / "weights" / "mobilenetv2_100.imagenet.safetensors")
        if wanted.model == "mobilenet"
        else registry.load(wanted.model)
    )
    xfeat = folder / "weights" / "xfeat.safetensors"
    rows = []
    print(HEADER)
    print("|---" * 14 + "|")
    for name in ("ortho_full.tif", "ortho.tif"):
        with tempfile.TemporaryDirectory() as space, GeoMap.open([folder / "data" / "brighton" / name]) as geomap:
            plan = TilingPlan.default(geomap)
            index = build_index(geomap, describer, Path(space) / "map.cfx", plan)
            for hidden in (True, False):
                locator = Locator(index, describer, matcher=wanted.matcher, matcher_weights=xfeat)
                found = [measure(locator, folder, row, hidden, wanted.verbose) for row in truth(folder)]
                for on_map in (True, False):
                    rows.append(summarise(name, hidden, on_map, [one for one in found if one["on_map"] == on_map]))
    if wanted.json:
        wanted.json.write_text(json.dumps({"model": describer.model_id, "sha256": describer.sha256, "rows": rows}, indent=1) + "\n")


def truth(folder: Path) -> list[dict[str, str]]:
    with (folder / "data" / "brighton" / "truth.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def measure(locator: Locator, folder: Path, row: dict[str, str], hidden: bool, verbose: bool) -> dict[str, float]:
    start = time.perf_counter()
    photo = read_photo(folder / "data" / "brighton" / "images" / row["file"])
    prior = photo.prior.without_position()
    if not hidden:
        # The direction of the error goes around the compass from photo to photo.
        bearing = 137.5 * int(row["file"][4:8]) % 360
        lon, lat = offset(float(row["lon"]), float(row["lat"]), bearing, WRONG_BY_M)
        prior = prior.merged(Prior(lon=Sourced(lon, "test"), lat=Sourced(lat, "test"), radius_m=Sourced(RADIUS_M, "test")))
    fix = locator.locate(photo, prior)
    seconds = time.perf_counter() - start
    error = distance_m(fix.centre_lon, fix.centre_lat, float(row["match_lon"]), float(row["match_lat"]))
    camera = None if fix.lon is None else distance_m(fix.lon, fix.lat, float(row["cam_lon"]), float(row["cam_lat"]))
    if verbose:
        evidence = " ".join(f"{key}={value:.2f}" for key, value in fix.features.items())
        turned = None if fix.heading_deg is None else (fix.heading_deg - float(row["match_yaw_deg"]) + 180) % 360 - 180
        print(f"{row['file']} error {error:.2f} within {fix.radius95_m:.2f} camera {camera} heading {turned}", end=" ")
        print(f"{fix.method} {fix.confidence:.3f} {evidence}")
    return {
        "on_map": row["centre_on_map"] == "1",
        "error": error,
        "accepted": fix.accepted,
        "inside": error <= fix.radius95_m,
        "seconds": seconds,
        "camera": camera,
        "camera_inside": None if camera is None or fix.camera_radius95_m is None else camera <= fix.camera_radius95_m,
    }


def summarise(name: str, hidden: bool, on_map: bool, found: list[dict[str, float]]) -> dict[str, float | str]:
    accepted = [one for one in found if one["accepted"]]
    cameras = [one for one in found if one["camera"] is not None]
    row: dict[str, float | str] = {
        "map": name,
        "position": "hidden" if hidden else f"{WRONG_BY_M:.0f} m wrong",
        "photos": f"{len(found)} centred {'on' if on_map else 'off'} the map",
        **{f"within_{limit}_m": sum(one["error"] <= limit for one in found) for limit in (2, 5, 10, 25)},
        "median_m": round(statistics.median(one["error"] for one in found), 2),
        "accepted": len(accepted),
        "accepted_right": sum(one["error"] <= 5 for one in accepted),
        "inside_circle": sum(one["inside"] for one in found),
        "seconds": round(statistics.mean(one["seconds"] for one in found), 2),
        "camera_median_m": round(statistics.median(one["camera"] for one in cameras), 2),
        "camera_inside_circle": f"{sum(one['camera_inside'] is True for one in cameras)} of {len(cameras)}",
    }
    print("| " + " | ".join(str(value) for value in row.values()) + " |")
    return row


if __name__ == "__main__":
    main()
