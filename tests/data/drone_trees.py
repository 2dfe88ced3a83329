"""Miniature copies of the drone benchmarks in their true layouts, for the tests of their readers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image
from rasterio.transform import from_bounds

from crossfix.data.dataset import Count, Dataset, Finding


def put(folder: Path, *names: str) -> None:
    """Small images, each of its own colour."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shade = sum(map(ord, str(name)))
        Image.new("RGB", (6, 4), (shade % 251, shade % 241, shade % 239)).save(path)


def findings(dataset: Dataset) -> list[Finding]:
    return [found for found in dataset.inspect() if isinstance(found, Finding)]


def counts(dataset: Dataset) -> dict[str, tuple[int, int]]:
    return {found.what: (found.official, found.found) for found in dataset.inspect() if isinstance(found, Count)}


def names(views: Iterable, root: Path) -> list[str]:
    return [view.path.relative_to(root).as_posix() for view in views]


def university1652(root: Path) -> Path:
    """Two places to train on; two to test on and one distractor without street views; an empty google folder."""
    for place in ("0839", "1002"):
        put(root / "train", *(f"drone/{place}/image-{shot:02}.jpeg" for shot in (1, 2, 10)), f"satellite/{place}/{place}.jpg")
        put(root / "train", f"street/{place}/1.jpg", f"street/{place}/2.jpg")
    put(root / "train/google/0839", "found.jpg")
    (root / "train/google/1002").mkdir()
    for half, places in (("query", ("0001", "0009")), ("gallery", ("0001", "0009", "0012"))):
        for place in places:
            put(root / "test", *(f"{half}_drone/{place}/image-{shot:02}.jpeg" for shot in (1, 2)))
            put(root / "test", f"{half}_satellite/{place}/{place}.jpg")
            if place != "0012":
                put(root / "test", f"{half}_street/{place}/1.jpg")
    (root / "readme.txt").write_text("terms of use")
    return root


def sues200_downloaded(root: Path, places: Iterable[str], shots: int = 2) -> Path:
    """SUES-200 as downloaded, with fewer drone images; all images have the same pixels."""
    put(root, "pixels.png")
    pixels = (root / "pixels.png").read_bytes()
    (root / "pixels.png").unlink()
    for place in places:
        drone = [root / "drone_view_512" / place / f"{height}" / f"{shot}.jpg" for height in (150, 200, 250, 300) for shot in range(shots)]
        for path in (root / "satellite-view" / place / "0.png", *drone):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pixels)
    return root


def denseuav(root: Path, *, whole: bool = True) -> Path:
    """Two places to train on and two to test on, 20 m apart; without the folders that the release lacks unless ``whole``."""
    drone = ("H80.JPG", "H90.JPG", "H100.JPG")
    satellite = tuple(f"H{height}{epoch}.tif" for height in (80, 90, 100) for epoch in ("", "_old"))
    train, test = ("000000", "000001"), ("002256", "002257")
    for place in train:
        put(root / "train" / "drone" / place, *drone)
        put(root / "train" / "satellite" / place, *satellite)
    for place in test:
        put(root / "test" / "query_drone" / place, *drone)
        if whole:
            put(root / "test" / "query_satellite" / place, *satellite)
    for place in train + test:
        put(root / "test" / "gallery_satellite" / place, *satellite)
        if whole:
            put(root / "test" / "gallery_drone" / place, *drone)
    lines = {"train": [], "test": []}
    for number, place in enumerate(train + test):
        split = "train" if place in train else "test"
        for name in ("H80.tif", "H80_old.tif"):
            lines[split].append(f"{split}/satellite/{place}/{name} E{120.387 + 2e-4 * number:.7f} N30.3241300 {94.606 + number}\n")
    (root / "Dense_GPS_train.txt").write_text("".join(lines["train"]))
    (root / "Dense_GPS_test.txt").write_text("".join(lines["test"]))
    (root / "Dense_GPS_ALL.txt").write_text("".join(lines["train"] + lines["test"]))
    return root


def gtauav_entry(number: int, positive: dict[str, list[float]], semi: dict[str, list[float]], **other: object) -> dict[str, object]:
    """An entry of GTA-UAV's lists: tiles by name with their centres; like the authors', the second list holds the positives too."""
    both = positive | semi
    return {
        "drone_img_dir": "drone/images",
        "drone_img_name": f"200_0001_{number:010}.png",
        "drone_loc_x_y": [4500.0 + number, 9300.0],
        "sate_img_dir": "satellite",
        "pair_pos_sate_img_list": list(positive),
        "pair_pos_sate_weight_list": [0.5] * len(positive),
        "pair_pos_sate_loc_x_y_list": list(positive.values()),
        "pair_pos_semipos_sate_img_list": list(both),
        "pair_pos_semipos_sate_weight_list": [0.3] * len(both),
        "pair_pos_semipos_sate_loc_x_y_list": list(both.values()),
        "drone_metadata": {"height": 201.5, "cam_roll": -88.0, "cam_pitch": 1.5, "cam_yaw": 85.0},
        **other,
    }


def gtauav(root: Path) -> Path:
    """Five drone images, five tiles of two zooms; centres as the authors' list gives them."""
    tiles = {"4_0_6_13.png": [4492.8, 9331.2], "5_0_12_27.png": [4320.0, 9504.0], "5_0_13_27.png": [4665.6, 9504.0]}
    a, b, c = ({name: at} for name, at in tiles.items())
    lists = {
        "cross-area-drone2sate-train": [gtauav_entry(10, a, b | c), gtauav_entry(2, {}, b), gtauav_entry(3, {}, {})],
        "cross-area-drone2sate-test": [gtauav_entry(5, b | a, c), gtauav_entry(4, {}, a), gtauav_entry(11, c, {})],
        "same-area-drone2sate-train": [gtauav_entry(10, a, {})],
        "same-area-drone2sate-test": [gtauav_entry(5, b, {})],
    }
    put(root / "drone" / "images", *(f"200_0001_{number:010}.png" for number in (2, 3, 4, 5, 10, 11)))
    put(root / "satellite", *tiles, "5_0_2_3.png", "5_128_2_3.png")
    for name, entries in lists.items():
        (root / f"{name}.json").write_text(json.dumps(entries))
    return root


def raster(path: Path, pixels: np.ndarray, west: float, south: float, east: float, north: float) -> None:
    """A GeoTIFF in degrees from (H, W, 3) uint8."""
    height, width, bands = pixels.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    place = from_bounds(west, south, east, north, width, height)
    with rasterio.open(path, "w", driver="GTiff", width=width, height=height, count=bands, dtype="uint8", crs=4326, transform=place) as out:
        out.write(np.moveaxis(pixels, 2, 0))


#: Corners of the maps of `uavvisloc`: west, north, east, south.
CORNERS = {"01": (115.97, 32.35, 115.97 + 300e-6, 32.35 - 200e-6), "09": (116.5, 32.0, 116.5 + 260e-6, 32.0 - 180e-6)}
TABLE = "num,filename,date,lat,lon,height,Omega,Kappa,Phi1,Phi2"


def gradient(width: int, height: int) -> np.ndarray:
    """A picture that says where: red grows to the east and green to the south, by half a level a pixel."""
    x, y = np.meshgrid(np.arange(width) / 2, np.arange(height) / 2)
    return np.stack([x, y, np.full_like(x, 90)], axis=2).astype(np.uint8)


def photo_line(number: int, flight: str, lat: float, lon: float, heading: str = "-90.5") -> str:
    return f"{number},{flight}_{number:04}.JPG,2018-10-23T10:00:00,{lat!r},{lon!r},405.2,1.1,-0.4,{heading},88.0"


def uavvisloc(root: Path) -> Path:
    """Flight 01 with a map in one file and flight 09 with one in four, pixels of a millionth of a degree; three photos each."""
    lines = ["mapname,LT_lat_map,LT_lon_map,RB_lat_map,RB_lon_map,region"]
    for flight, (west, north, east, south) in CORNERS.items():
        photos = [
            photo_line(number, flight, north - number * 50e-6, west + number * 60e-6, f"{heading}")
            for number, heading in ((1, -90.5), (2, 12.25), (3, 180.0))
        ]
        put(root / flight / "drone", *(f"{flight}_{number:04}.JPG" for number in (1, 2, 3)))
        (root / flight / f"{flight}.csv").write_text("\n".join([TABLE, *photos]) + "\n")
        lines.append(f"satellite{flight}.tif,{north!r},{west!r},{south!r},{east!r},somewhere")
    (root / "satellite_ coordinates_range.csv").write_text("\n".join(lines) + "\n")
    raster(root / "01" / "satellite01.tif", gradient(300, 200), *(CORNERS["01"][at] for at in (0, 3, 2, 1)))
    for name, part in quarters(gradient(260, 180), 140, 100).items():
        raster(root / "09" / f"satellite09_{name}.tif", part, 0, 0, 1, 1)
    return root


def quarters(pixels: np.ndarray, left: int, top: int) -> dict[str, np.ndarray]:
    """A picture in four by ROW-COLUMN."""
    return {"01-01": pixels[:top, :left], "01-02": pixels[:top, left:], "02-01": pixels[top:, :left], "02-02": pixels[top:, left:]}
