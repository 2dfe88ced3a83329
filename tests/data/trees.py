"""Miniature copies of CVUSA, CVACT and VIGOR in their published layouts, every picture different from every other."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

from crossfix.data import cvact, cvusa, vigor
from crossfix.geo.geodesy import LocalFrame, distance_m

CITY_AT = {"Chicago": (-87.63, 41.88), "NewYork": (-73.99, 40.74), "SanFrancisco": (-122.43, 37.76), "Seattle": (-122.32, 47.60)}
TILE_STEP = (0.00043301140280175833, 0.0003280724526376747)
"""Degrees of lon and lat from tile to tile."""


def put_image(path: Path, size: tuple[int, int] = (16, 8)) -> Path:
    """A picture that is a function of its path's last three parts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32("/".join(path.parts[-3:]).encode()))
    Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)
    return path


def write(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def cvusa_latlon(number: int) -> tuple[float, float, float, float]:
    """Of the satellite image and the camera, as the list has them."""
    return 30 + number / 100, -100 - number / 50, 30 + number / 100 + 1e-5, -100 - number / 50 - 2e-5


def cvusa_tree(root: Path, train: Sequence[int] = (4, 1, 12), test: Sequence[int] = (7, 3), locations: bool = True) -> Path:
    for split, numbers in (("train", train), ("test", test)):
        lines = []
        for number in numbers:
            satellite, panorama = (f"{folder}/{number:07d}.jpg" for folder in (cvusa.SATELLITES, cvusa.PANORAMAS))
            put_image(root / satellite, (12, 12))
            put_image(root / panorama, (24, 6))
            lines.append(f"{satellite},{panorama},{cvusa.ANNOTATIONS}/{number:07d}.png")
        write(root / cvusa.LISTS[split], lines)
    if locations:
        write(root / cvusa.LOCATIONS, (",".join(map(str, (*cvusa_latlon(n), 0.5))) for n in range(1, max(*train, *test) + 1)))
    return root


def cvact_ids(count: int) -> list[str]:
    return [f"{'zyxwvutsrq'[number % 10]}{number:03d}_panorama-id-of-22"[:22] for number in range(count)]


def cvact_index(
    root: Path, ids: Sequence[str], train: Sequence[int], val: Sequence[int], test: Sequence[int], utm: object = None, **more: object
) -> None:
    """The index, rows counted from 1 as MATLAB does."""
    positions = 693_000 + np.arange(2 * len(ids)).reshape(-1, 2) * [1.5, 2.5] + [0, 5_400_000] if utm is None else utm
    content = {
        cvact.IDS: np.array(ids),
        cvact.POSITIONS: positions,
        "trainSet": {"trainNum": len(train), "trainInd": np.array(train)[:, None] + 1},
        "valSet": {"valNum": len(val), "valInd": np.array(val, np.uint16)[:, None] + 1},
        "valSetAll": {"valNum": len(test), "valInd": np.array(test)[:, None] + 1},
    } | more
    root.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(root / cvact.INDEX, {name: value for name, value in content.items() if value is not None})


def cvact_tree(root: Path, train: Sequence[int] = (5, 0, 3), val: Sequence[int] = (6, 2), test: Sequence[int] = (6, 1, 2, 4)) -> Path:
    ids = cvact_ids(8)
    for split, rows in (("train", train), ("val", val), ("test", test)):
        for row in rows:
            put_image(cvact_image(root, split, ids[row], "ground"), (32, 16))
            put_image(cvact_image(root, split, ids[row], "satellite"), (16, 16))
    cvact_index(root, ids, train, val, test)
    return root


def cvact_image(root: Path, split: str, name: str, kind: str) -> Path:
    if kind == "ground":
        return root / cvact.FOLDERS[split] / "streetview" / f"{name}_grdView.jpg"
    return root / cvact.FOLDERS[split] / "satview_polish" / f"{name}_satView_polish.jpg"


def vigor_tree(root: Path, *, rearranged: bool = False, original: bool = True, corrected: bool = False, panoramas: int = 4) -> Path:
    """Each city a grid of 4 x 4 tiles and some panoramas among the middle ones; half of these train, half test."""
    for seed, (city, (west, south)) in enumerate(CITY_AT.items()):
        rng = np.random.default_rng(seed)
        ground, satellite = (root / (name.format(city=city)) for name in (vigor.REARRANGED_TREE if rearranged else vigor.TREE))
        tiles = {}
        for row in range(4):
            for column in range(4):
                lon, lat = west + column * TILE_STEP[0], south + row * TILE_STEP[1]
                name = f"satellite_{lat!r}_{lon!r}.png"
                tiles[name] = (lon, lat)
                put_image(satellite / name, (16, 16))
        names = []
        for number in range(panoramas):
            lon, lat = (low + step * rng.uniform(1, 2) for low, step in zip((west, south), TILE_STEP, strict=True))
            names.append(f"{city[:3]}-_{number},{lat:.6f},{lon:.6f},.jpg")
            put_image(ground / names[-1], (32, 16))
        for wanted, (folder, ending) in ((original, ("splits", ".txt")), (corrected, ("splits__corrected", "__corrected.txt"))):
            if wanted:
                gsd_m = vigor.GSD_M[city] if ending != ".txt" else 0.114
                lines = [vigor_line(name, tiles, gsd_m) for name in names]
                write(root / folder / city / "satellite_list.txt", tiles)
                write(root / folder / city / f"pano_label_balanced{ending}", lines)
                write(root / folder / city / f"same_area_balanced_train{ending}", lines[: panoramas // 2])
                write(root / folder / city / f"same_area_balanced_test{ending}", lines[panoramas // 2 :])
    return root


def vigor_line(panorama: str, tiles: dict[str, tuple[float, float]], gsd_m: float) -> str:
    """A label: the nearest tile, the three next, and where their middles lie as seen from the camera."""
    lat, lon = (float(part) for part in panorama.split(",")[1:3])
    near = sorted(tiles, key=lambda name: distance_m(lon, lat, *tiles[name]))[:4]
    fields = [panorama]
    for name in near:
        east_m, north_m = LocalFrame(lon, lat).to_local(*tiles[name])
        fields += [name, f"{round(north_m / gsd_m):.1f}", f"{round(east_m / gsd_m):.1f}"]
    return " ".join(fields)
