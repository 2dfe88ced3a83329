"""COLMAP's clouds against the truth: views registered, reprojection error, distance from the known cloud after similarity alignment.

python benchmarks/cloud_colmap.py world SET CLOUDS  # by: crossfix world write university1652 SET; crossfix clouds build SET -o CLOUDS ...
python benchmarks/cloud_colmap.py photos FOLDER     # with images/, truth.csv, dsm.tif

Aligned twice: by the cameras (exact in worlds; GPS of photos, whose heights are above a take-off point that nobody knows), then by trimmed
ICP of the points too.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.warp import transform
from scipy.spatial import cKDTree

from crossfix.clouds.align import Similarity, umeyama
from crossfix.clouds.compare import compare
from crossfix.clouds.files import NOTE, read_cloud, read_note
from crossfix.clouds.from_colmap import ColmapBackend
from crossfix.worlds.sets.exact import ExactSet

HEAD = "| cloud | registered | points | reprojection, px | camera error, m | aligned by | mean, m | median, m | within 0.5 m | within 1 m |"
ROUNDS, KEPT = 30, 0.8


def main() -> None:
    print(HEAD)
    print("|---|---|---|---|---|---|---|---|---|---|")
    if sys.argv[1] == "world":
        worlds(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        photos(Path(sys.argv[2]))


def worlds(root: Path, clouds: Path) -> None:
    exact = ExactSet(root)
    for folder in sorted(path for path in clouds.iterdir() if (path / NOTE).is_file()):
        note = read_note(folder / NOTE)
        views = sorted((root / "train" / "drone" / note["place"]).iterdir())
        sights = [exact.sight(view, 256) for view in views[::3]]
        known = np.concatenate([sight.points()[0] for sight in sights])
        cameras = [exact.camera(root / "train" / "drone" / note["place"] / name) for name in note["files"]]
        true = np.array([[camera.east_m, camera.north_m, camera.up_m] for camera in cameras])
        eyes = np.array([[np.nan] * 3 if eye is None else eye for eye in note["eyes"]])
        tell(folder.name, note["registered"], note["views"], note["reprojection_px"], read_cloud(folder).xyz_N3, eyes, true, known)


def photos(folder: Path) -> None:
    views = sorted((folder / "images").iterdir())
    with (folder / "truth.csv").open() as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    with rasterio.open(folder / "dsm.tif") as raster:
        heights = raster.read(1, masked=True)
        row, column = np.nonzero(~np.ma.getmaskarray(heights))
        east, north = raster.xy(row, column)
        known = np.column_stack([east, north, np.asarray(heights[row, column])])
        lon, lat = ([float(rows[view.name][name]) for view in views] for name in ("lon", "lat"))
        x, y = transform("EPSG:4326", raster.crs, lon, lat)
    ground = float(np.median(known[:, 2]))
    true = np.column_stack([x, y, [ground + float(rows[view.name]["relative_alt_m"]) for view in views]])
    origin = known.mean(axis=0)
    built = ColmapBackend().reconstruct(views, "photos")
    error, xyz = built.facts["reprojection_px"], built.cloud.xyz_N3
    tell(folder.name, built.registered, built.views, error, xyz, built.seen_from_V3, true - origin, known - origin)


def tell(
    name: str, registered: int, views: int, error: float, xyz: np.ndarray, eyes: np.ndarray, true: np.ndarray, known: np.ndarray
) -> None:
    found = np.isfinite(eyes).all(axis=1)
    by_cameras = umeyama(eyes[found], true[found])
    camera_error = np.linalg.norm(by_cameras.apply(eyes[found]) - true[found], axis=1).mean()
    by_points = refined(xyz, known, by_cameras)
    for how, similarity in (("cameras", by_cameras), ("points", by_points)):
        placed = similarity.apply(xyz)
        inside = placed[over(placed, known)]
        got = compare(inside, known, (0.5, 1.0))
        shares = " | ".join(f"{100 * got.precision[t]:.1f} %" for t in got.precision)
        about = f"{name} | {registered} of {views} | {len(xyz):,} | {error:.2f} | {camera_error:.2f}"
        print(f"| {about} | {how} | {got.accuracy:.2f} | {got.accuracy_median:.2f} | {shares} |", flush=True)


def over(xyz: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Points with known ones within 2 m in plan: elsewhere the truth says nothing."""
    return cKDTree(known[:, :2]).query(xyz[:, :2])[0] < 2.0


def refined(xyz: np.ndarray, known: np.ndarray, start: Similarity) -> Similarity:
    """Trimmed ICP: pairs of nearest points, the closer four fifths of them aligned, again and again."""
    tree, similarity = cKDTree(known), start
    for _ in range(ROUNDS):
        placed = similarity.apply(xyz)
        away, nearest = tree.query(placed)
        kept = away <= np.quantile(away, KEPT)
        similarity = umeyama(xyz[kept], known[nearest[kept]])
    return similarity


if __name__ == "__main__":
    main()
