"""Banks of drone and satellite views of many places, and of panoramas where they are asked for, to train and to measure with.

Places lie several to a world, so that a bank also holds the hard negatives that a map holds: other places of the same town. Satellite and
drone views never share an epoch, and each shot draws its own sensor.

A bank is a folder: ``satellite.npy`` (P, S, a, a, 3), ``drone.npy`` (P, V, b, b, 3) and, with panoramas, ``ground.npy`` (P, G, h, 4 h, 3)
uint8, ``truth.npz``, ``meta.json``. Satellite
squares reach beyond their chip by ``satellite_margin``, so that they can be turned and shifted without borders.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossfix.disk import LATER, atomic, disk, plain, read_npz, write_bytes
from crossfix.errors import DataError, InputError
from crossfix.geo.camera import Camera
from crossfix.workers import worker_processes
from crossfix.worlds.epoch import Epoch
from crossfix.worlds.noise import keyed_rng
from crossfix.worlds.pair_panoramas import GROUND_HEADING, GROUND_POINTS, HAS_GROUND, draw_panoramas
from crossfix.worlds.regions import region_named
from crossfix.worlds.sensor import Sensor
from crossfix.worlds.world import World

Bytes = npt.NDArray[np.uint8]
SATELLITE_MARGIN = 1.5
DRONE_MARGIN = 1.375  # finer than the model's input: one ray a pixel there is about two where it is used
_WORLD_M = 1200.0
_TEXEL_M = 0.65
_PLACES_A_WORLD = 12
TRUTH = ("world_seed", "region", "side_m", "offset_east_m", "offset_north_m", "heading_deg", "pitch_deg", "height_m", "fov_deg")


@dataclass(frozen=True)
class BankPlan:
    """What a bank holds.

    Attributes:
        regions: names of the regions, in turn.
        places: number of places.
        seed: of the worlds; banks of different seeds share none.
        px: side of the model's input.
        epochs: satellite views a place, each of its own epoch.
        views: drone views a place.
        side_m: least and greatest side of a chip.
        height_m: least and greatest height of the drone.
        offset: greatest distance of a photo's centre from the chip's, east and north, in sides.
        ratio: least and greatest ground span of a photo, in sides.
        panoramas: of each place that has open ground near its middle and a chip of at most 260 m.
        panorama_px: their height; they are four times as wide, 360 by 90 degrees.
        sighted: points of each panorama of which the bank tells where on the satellite picture they lie.
    """

    regions: tuple[str, ...]
    places: int
    seed: int
    px: int = 128
    epochs: int = 2
    views: int = 4
    side_m: tuple[float, float] = (90.0, 560.0)
    height_m: tuple[float, float] = (60.0, 320.0)
    offset: float = 0.22
    ratio: tuple[float, float] = (0.65, 1.5)
    panoramas: int = field(default=0, metadata=LATER)
    panorama_px: int = field(default=64, metadata=LATER)
    sighted: int = field(default=0, metadata=LATER)

    def to_dict(self) -> dict[str, Any]:
        """JSON values; what no bank had before panoramas is left out where there are none."""
        return plain(self)

    @property
    def satellite_px(self) -> int:
        """Side of a stored satellite square."""
        return round(self.px * SATELLITE_MARGIN)

    @property
    def drone_px(self) -> int:
        """Side of a stored drone view."""
        return round(self.px * DRONE_MARGIN)

    @property
    def truths(self) -> tuple[str, ...]:
        """Names of the arrays that go with the pictures."""
        if not self.panoramas:
            return TRUTH
        return (*TRUTH, HAS_GROUND, GROUND_HEADING, *([GROUND_POINTS] if self.sighted else []))

    @property
    def worlds(self) -> int:
        """Number of worlds the places lie in."""
        return -(-self.places // _PLACES_A_WORLD)


class PairBank:
    """A bank on disk.

    Attributes:
        satellite: (P, S, a, a, 3) uint8, mapped, north up.
        drone: (P, V, b, b, 3) uint8, mapped.
        ground: (P, G, h, 4 h, 3) uint8, mapped, any bearing in the middle; None without panoramas.
        has_ground: (P,) bool: the others' panoramas are black.
        region: (P,) names.
        truth: arrays by the names in :data:`TRUTH`, (P,) or (P, V). Beside panoramas :data:`GROUND_HEADING` (P, G) and, where the plan has
            points sighted, :data:`GROUND_POINTS` (P, G, S, 4): bearing and elevation in degrees, and where the point lies in the satellite
            square, x right and y down, -1 to 1 between its edges; NaN where there are fewer.
        plan: what it was made from.
    """

    def __init__(
        self, satellite: Bytes, drone: Bytes, truth: dict[str, npt.NDArray[Any]], plan: BankPlan, ground: Bytes | None = None
    ) -> None:
        self.satellite, self.drone, self.truth, self.plan, self.ground = satellite, drone, truth, plan, ground
        self.has_ground: npt.NDArray[np.bool_] = truth.get(HAS_GROUND, np.zeros(len(satellite), bool))
        self.region = np.asarray(plan.regions)[truth["region"]]

    @staticmethod
    def open(folder: Path) -> PairBank:
        """Maps a finished bank.

        Raises:
            DataError: there is none, or it is damaged.
        """
        try:
            meta = json.loads((folder / "meta.json").read_text())
            fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in meta["plan"].items()}
            plan = BankPlan(**fields)
            truth = read_npz(folder / "truth.npz")
            arrays = {name: truth[name] for name in plan.truths}
            satellite = np.load(folder / "satellite.npy", mmap_mode="r", allow_pickle=False)
            drone = np.load(folder / "drone.npy", mmap_mode="r", allow_pickle=False)
            ground = np.load(folder / "ground.npy", mmap_mode="r", allow_pickle=False) if plan.panoramas else None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"no readable bank of views ({error})", where=folder, mend="delete the folder and make it again") from error
        return PairBank(satellite, drone, arrays, plan, ground)

    def __len__(self) -> int:
        return len(self.satellite)


def make_pair_bank(
    folder: Path, plan: BankPlan, *, progress: Callable[[int, int], None] | None = None, workers: int | None = None
) -> PairBank:
    """Makes a bank, or finishes one that was interrupted; a finished one of the same plan is opened as it is.

    Args:
        folder: where.
        plan: what it is to hold.
        progress: called with the number of worlds done and their total.
        workers: processes, all cores if none is given.

    Raises:
        InputError: no region or no place is asked for.
        DataError: the folder holds a bank of another plan.
        DiskError: it cannot be written.
    """
    if not plan.regions or plan.places < 1:
        raise InputError("a bank needs at least one region and one place", where=folder)
    for name in plan.regions:
        region_named(name)
    meta = {"format": 1, "plan": plan.to_dict()}
    with disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "plan.json"
        if path.exists() and json.loads(path.read_text()) != meta:
            raise DataError("the folder holds a bank of another plan", where=folder, mend="choose another folder or delete this one")
        if (folder / "meta.json").exists():
            return PairBank.open(folder)
        write_bytes(path, json.dumps(meta).encode())
        _render_missing(folder, plan, progress, workers or os.cpu_count() or 1)
        _join(folder, plan)
        write_bytes(folder / "meta.json", json.dumps(meta).encode())
    for shard in folder.glob("world-*.npz"):
        shard.unlink()
    return PairBank.open(folder)


def _render_missing(folder: Path, plan: BankPlan, progress: Callable[[int, int], None] | None, workers: int) -> None:
    missing = [i for i in range(plan.worlds) if not (folder / f"world-{i:05d}.npz").exists()]
    done = plan.worlds - len(missing)
    if progress:
        progress(done, plan.worlds)
    if workers == 1 or len(missing) < 2:
        for number in missing:
            _render_world(folder, plan, number)
            done += 1
            if progress:
                progress(done, plan.worlds)
        return
    with worker_processes(min(workers, len(missing))) as pool:
        for _ in pool.map(_render_world, [folder] * len(missing), [plan] * len(missing), missing):
            done += 1
            if progress:
                progress(done, plan.worlds)


def _render_world(folder: Path, plan: BankPlan, number: int) -> None:
    """Renders all places of one world into a file of its own."""
    rng = keyed_rng(plan.seed, "bank", number)
    region = number % len(plan.regions)
    count = min(_PLACES_A_WORLD, plan.places - number * _PLACES_A_WORLD)
    world_seed = int(rng.integers(2**31))
    world = World(plan.regions[region], world_seed, _WORLD_M, texel_m=_TEXEL_M)
    centres, sides = _spread(count, plan.side_m, rng)
    satellite = np.empty((count, plan.epochs, plan.satellite_px, plan.satellite_px, 3), np.uint8)
    drone = np.empty((count, plan.views, plan.drone_px, plan.drone_px, 3), np.uint8)
    truth: dict[str, Any] = {name: np.zeros((count, plan.views), np.float32) for name in TRUTH[3:]}
    for epoch in range(plan.epochs):
        scene = world.scene(Epoch.draw(int(rng.integers(2**31)), "map"))
        for place in range(count):
            sensor = Sensor.draw(int(rng.integers(2**31)))
            side = float(sides[place]) * SATELLITE_MARGIN
            satellite[place, epoch] = scene.ortho(
                centres[place, 0], centres[place, 1], side, plan.satellite_px, samples=1, sensor=sensor
            ).rgb
    for half in (range(0, plan.views, 2), range(1, plan.views, 2)):
        if not half:
            continue
        scene = world.scene(Epoch.draw(int(rng.integers(2**31)), "photo"))
        for view in half:
            for place in range(count):
                camera, row = draw_camera(plan, centres[place], float(sides[place]), rng)
                drone[place, view] = scene.perspective(camera, samples=1, sensor=Sensor.draw(int(rng.integers(2**31)))).rgb
                for name, value in zip(TRUTH[3:], row, strict=True):
                    truth[name][place, view] = value
    if plan.panoramas:
        truth |= draw_panoramas(world, plan, centres, sides, SATELLITE_MARGIN, number)
    with atomic(folder / f"world-{number:05d}.npz") as file:
        np.savez(
            file, satellite=satellite, drone=drone, side_m=sides.astype(np.float32), region=np.full(count, region),
            world_seed=np.full(count, world_seed), **truth,
        )  # fmt: skip


def _spread(count: int, side_m: tuple[float, float], rng: np.random.Generator) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Centres (n, 2) and sides of chips that overlap little; sides shrink where the world is full."""
    centres: list[npt.NDArray[np.float64]] = []
    sides: list[float] = []
    low, high = np.log(side_m)
    for _ in range(count):
        for attempt in range(400):
            side = float(np.exp(rng.uniform(low, high - (high - low) * 0.9 * attempt / 400)))
            reach = (_WORLD_M - side) / 2
            spot = rng.uniform(-reach, reach, 2)
            if all(np.abs(spot - c).max() > 0.42 * (side + s) for c, s in zip(centres, sides, strict=True)):
                break
        centres.append(spot)
        sides.append(side)
    return np.array(centres), np.array(sides)


def draw_camera(
    plan: BankPlan, centre: npt.NDArray[np.float64], side_m: float, rng: np.random.Generator
) -> tuple[Camera, tuple[float, float, float, float, float, float]]:
    """A drone's camera that looks near the centre of a chip.

    Returns:
        The camera, and offset east and north in metres, heading, pitch, height and field of view.
    """
    fov = float(rng.uniform(50, 84))
    pitch = float(rng.normal(-90, 3)) if rng.random() < 0.5 else float(rng.uniform(-85, -50))
    heading = float(rng.uniform(0, 360))
    span = side_m * float(np.exp(rng.uniform(*np.log(plan.ratio))))
    distance = span / (2 * np.tan(np.radians(fov) / 2))
    height = float(np.clip(distance * np.sin(np.radians(-pitch)), *plan.height_m))
    distance = height / np.sin(np.radians(-pitch))
    fov = float(np.clip(2 * np.degrees(np.arctan(span / (2 * distance))), 25, 95))
    offset = rng.uniform(-plan.offset, plan.offset, 2) * side_m
    back = distance * np.cos(np.radians(pitch))
    east = centre[0] + offset[0] - back * np.sin(np.radians(heading))
    north = centre[1] + offset[1] - back * np.cos(np.radians(heading))
    camera = Camera(float(east), float(north), height, heading, pitch, fov, plan.drone_px, plan.drone_px)
    return camera, (float(offset[0]), float(offset[1]), heading, pitch, height, fov)


def _join(folder: Path, plan: BankPlan) -> None:
    """The worlds' files as one bank."""
    shapes = {
        "satellite": (plan.places, plan.epochs, plan.satellite_px, plan.satellite_px, 3),
        "drone": (plan.places, plan.views, plan.drone_px, plan.drone_px, 3),
    }
    names = plan.truths
    if plan.panoramas:
        shapes["ground"] = (plan.places, plan.panoramas, plan.panorama_px, 4 * plan.panorama_px, 3)
    out = {name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, shape) for name, shape in shapes.items()}
    rows: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in names}
    start = 0
    for number in range(plan.worlds):
        path = folder / f"world-{number:05d}.npz"
        try:
            shard = read_npz(path)
        except (OSError, ValueError) as error:
            raise DataError(f"no readable views of a world ({error})", where=path, mend="delete it and make the bank again") from error
        stop = start + len(shard["side_m"])
        for name, array in out.items():
            array[start:stop] = shard[name]
        for name in names:
            rows[name].append(shard[name])
        start = stop
    for array in out.values():
        array.flush()
    with atomic(folder / "truth.npz") as file:
        joined: dict[str, Any] = {name: np.concatenate(parts) for name, parts in rows.items()}
        np.savez(file, **joined)
