"""The lasting layout of a world: ground labels, buildings, trees and places for cars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossfix.worlds.buildings import FLAT, Parts, draw_building
from crossfix.worlds.noise import keyed_rng, smooth_noise
from crossfix.worlds.raster import Canvas, rectangle
from crossfix.worlds.region import Region
from crossfix.worlds.streets import Network, Street, lay_streets
from crossfix.worlds.trees import Trees, draw_trees

(WILD, LAWN, FIELD, WOOD, STREET, PAVING, DIRT, WATER, PARKING, SOIL, MARKING, POOL, PITCH, CONCRETE) = range(14)
_YARDS = {"lawn": LAWN, "soil": SOIL, "paving": PAVING, "wild": WILD}
_USES = {"built": LAWN, "park": LAWN, "field": FIELD, "forest": WOOD, "parking": PARKING, "wild": WILD, "pitch": PITCH}


@dataclass(frozen=True)
class Layout:
    """What of a world lasts from epoch to epoch.

    Attributes:
        label: ground label by texel, (n, n) uint8, row 0 south, column 0 west.
        cell: number of the block or field by texel, (n, n) uint16, 0 outside.
        texel_m: side of a texel.
        half_m: half the side of the square that is laid out.
        parts: buildings.
        trees: trees.
        stalls: where cars may stand, (n, 4): east, north, heading in radians from east to north, chance of a car.
    """

    label: npt.NDArray[np.uint8]
    cell: npt.NDArray[np.uint16]
    texel_m: float
    half_m: float
    parts: Parts
    trees: Trees
    stalls: npt.NDArray[np.float32]


def lay_out(region: Region, seed: int, half_m: float, texel_m: float) -> Layout:
    """Draws the layout of a world.

    Args:
        region: its style.
        seed: its seed.
        half_m: half the side of the square to lay out.
        texel_m: side of a ground texel.
    """
    network = lay_streets(region, half_m, keyed_rng(seed, "streets"))
    canvas = Canvas(half_m, texel_m)
    taken = Canvas(half_m, 1.0)
    rng = keyed_rng(seed, "uses")
    wild = WILD if region.wild == "meadow" else SOIL
    canvas.label[:] = wild
    uses = _assign_uses(region, network, rng)
    cell = np.zeros_like(canvas.label, np.uint16)
    for number, (ring, use) in enumerate(zip(network.cells, uses, strict=True), start=1):
        ground = _YARDS[region.yard] if use == "built" else (wild if use == "wild" else _USES[use])
        canvas.fill(ring, ground)
        canvas.fill_into(cell, ring, number)
    _details(region, network, uses, canvas, rng)
    _river(region, canvas, taken, half_m, keyed_rng(seed, "river"))
    stalls = _streets(region, network, canvas, taken, keyed_rng(seed, "cars"))
    built = np.isin(cell, [n for n, use in enumerate(uses, start=1) if use == "built"])
    parts, yards = _buildings(region, network, canvas, taken, built, seed)
    stalls += _parking(network, uses, canvas, taken)
    _pools(region, yards, canvas, taken, keyed_rng(seed, "pools"))
    trees = draw_trees(region, network, uses, canvas, taken, seed, (LAWN, WOOD, WILD, SOIL, PAVING), WOOD)
    return Layout(canvas.label, cell, texel_m, half_m, parts, trees, np.asarray(stalls, np.float32).reshape(-1, 4))


def _assign_uses(region: Region, network: Network, rng: np.random.Generator) -> list[str]:
    """What each block is used for; settlements lie together."""
    centres = np.array([ring.mean(0) for ring in network.cells]).reshape(-1, 2)
    phase = rng.uniform(0, 1e4, 2)
    town = smooth_noise(centres[:, 0] + phase[0], centres[:, 1] + phase[1], 420.0, 2) + rng.normal(0, 0.05, len(centres))
    settled = town >= np.quantile(town, 1 - region.settled) if len(town) else np.zeros(0, bool)
    names, weights = zip(*region.uses, strict=True)
    drawn = rng.choice(names, size=len(centres), p=np.asarray(weights) / sum(weights))
    if region.settled >= 1 or "built" not in names:
        return ["built" if s and "built" not in names else str(d) for s, d in zip(settled, drawn, strict=True)]
    open_uses = [(n, w) for n, w in region.uses if n != "built"]
    other = rng.choice([n for n, _ in open_uses], size=len(centres), p=np.array([w for _, w in open_uses]) / sum(w for _, w in open_uses))
    return [str(d) if s else str(o) for s, d, o in zip(settled, drawn, other, strict=True)]


def _details(region: Region, network: Network, uses: list[str], canvas: Canvas, rng: np.random.Generator) -> None:
    """Paths in parks, lines on pitches, tracks along fields."""
    for ring, use in zip(network.cells, uses, strict=True):
        centre = ring.mean(0)
        if use == "park":
            for _ in range(3):
                a, b = ring[rng.integers(len(ring), size=2)]
                bend = centre + rng.normal(0, 8, 2)
                t = np.linspace(0, 1, 12)[:, None]
                canvas.line(a * (1 - t) ** 2 + 2 * bend * t * (1 - t) + b * t**2, 2.4, DIRT if rng.random() < 0.5 else PAVING)
        elif use == "pitch":
            edge = ring[1] - ring[0]
            angle = float(np.arctan2(edge[1], edge[0]))
            field = rectangle(centre[0], centre[1], 62, 38, angle)
            canvas.fill(field, PITCH)
            for shape in (field, rectangle(centre[0], centre[1], 0.1, 38, angle)):
                canvas.line(np.vstack([shape, shape[:1]]), 0.3, MARKING)
        elif use in ("field", "wild") and rng.random() < 0.5:
            canvas.line(np.vstack([ring, ring[:1]]), 2.6, DIRT)
        if use in ("built", "wild", "parking"):
            _patches(ring, canvas, rng, use)


def _patches(ring: npt.NDArray[np.float64], canvas: Canvas, rng: np.random.Generator, use: str) -> None:
    """Beds, paths, heaps and hard standing: what keeps open ground from being blank."""
    low, high = ring.min(0), ring.max(0)
    ground = int(canvas.at(ring[:, 0].mean(), ring[:, 1].mean()))
    edge = ring[len(ring) // 4] - ring[0]
    angle = float(np.arctan2(edge[1], edge[0]))
    kinds = (LAWN, SOIL, CONCRETE, STREET, WILD) if use != "wild" else (SOIL, DIRT, LAWN, WOOD)
    for _ in range(int(np.prod(high - low) / 1500) + 1):
        spot, size = rng.uniform(low, high), np.exp(rng.uniform(np.log(3), np.log(32), 2))
        if use == "wild":
            t = np.linspace(0, 2 * np.pi, 14)[:-1, None]
            shape = spot + np.hstack([np.cos(t), np.sin(t)]) * size.mean() * 0.5 * rng.uniform(0.6, 1.4, (13, 1))
        else:
            shape = rectangle(spot[0], spot[1], size[0], size[1], angle)
        canvas.fill_over(shape, int(rng.choice(kinds)), ground)


def _river(region: Region, canvas: Canvas, taken: Canvas, half_m: float, rng: np.random.Generator) -> None:
    if rng.random() >= region.river:
        return
    angle, offset = rng.uniform(0, np.pi), rng.uniform(-0.6, 0.6) * half_m
    width = float(rng.uniform(*region.river_m))
    t = np.linspace(-1.6 * half_m, 1.6 * half_m, 120)
    bend = offset + sum(rng.uniform(5, 45) * np.sin(t / rng.uniform(60, 220) + rng.uniform(0, 6.3)) for _ in range(3))
    line = np.stack([t * np.cos(angle) - bend * np.sin(angle), t * np.sin(angle) + bend * np.cos(angle)], -1)
    canvas.line(line, width + 9, WILD)
    canvas.line(line, width, WATER)
    taken.line(line, width + 6, 1)


def _streets(region: Region, network: Network, canvas: Canvas, taken: Canvas, rng: np.random.Generator) -> list[tuple[float, ...]]:
    """Draws the streets, pavements first, so that crossings are clean; returns stalls along kerbs and lanes."""
    minor = {"asphalt": STREET, "dirt": DIRT, "concrete": CONCRETE}[region.surface]
    for street in network.streets:
        if region.sidewalk_m and (street.major or region.surface == "asphalt"):
            canvas.line(street.line, street.width_m + 2 * region.sidewalk_m, CONCRETE)
        taken.line(street.line, street.width_m + 2 * region.sidewalk_m, 1)
    for street in sorted(network.streets, key=lambda s: s.major):
        canvas.line(street.line, street.width_m, STREET if street.major else minor)
    stalls: list[tuple[float, ...]] = []
    for street in network.streets:
        if street.major and street.width_m > 8:
            canvas.dashes(street.line, 3.0, 5.0, 0.35, MARKING)
        stalls += _kerb_stalls(street, region.cars, rng)
    return stalls


def _kerb_stalls(street: Street, cars: float, rng: np.random.Generator) -> list[tuple[float, ...]]:
    legs = np.diff(street.line, axis=0)
    lengths = np.hypot(legs[:, 0], legs[:, 1])
    rows: list[tuple[float, ...]] = []
    for start, leg, length in zip(street.line[:-1], legs, lengths, strict=True):
        if length < 6:
            continue
        along = leg / length
        left = np.array([-along[1], along[0]])
        for side in (-1, 1):
            for s in np.arange(3.0, length - 3.0, 6.2):
                kerb, lane = street.width_m / 2 - 1.1, street.width_m / 4
                driving = rng.random() < 0.2
                spot = start + along * (s + rng.uniform(-0.6, 0.6)) + left * side * (lane if driving else kerb)
                chance = cars * 0.062 * (0.25 if driving else 0.5)
                rows.append((*spot, float(np.arctan2(along[1], along[0])) + (np.pi if side > 0 else 0), chance))
    return rows


def _parking(network: Network, uses: list[str], canvas: Canvas, taken: Canvas) -> list[tuple[float, ...]]:
    rows: list[tuple[float, ...]] = []
    for ring, use in zip(network.cells, uses, strict=True):
        if use != "parking":
            continue
        edge = ring[len(ring) // 8] - ring[0]
        angle = float(np.arctan2(edge[1], edge[0]))
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        centre = ring.mean(0)
        reach = float(np.abs(ring - centre).max())
        for v in np.arange(-reach, reach, 16.0):
            for side in (-2.6, 2.6):
                for u in np.arange(-reach, reach, 2.7):
                    spot = centre + along * u + across * (v + side)
                    if canvas.at(*spot) == PARKING and taken.at(*spot) == 0:
                        rows.append((*spot, angle + np.pi / 2, 0.45))
                        line = spot + along * 1.35
                        canvas.line(np.array([line - across * 2.3, line + across * 2.3]), 0.15, MARKING)
    return rows


def _buildings(
    region: Region, network: Network, canvas: Canvas, taken: Canvas, built: npt.NDArray[np.bool_], seed: int
) -> tuple[Parts, list[tuple[npt.NDArray[np.float64], float, float]]]:
    """Buildings along both sides of every street; returns their parts and the spots of back yards."""
    rng = keyed_rng(seed, "buildings")
    weights = np.array([build.weight for build in region.builds])
    rows: list[tuple[float, ...]] = []
    yards: list[tuple[npt.NDArray[np.float64], float, float]] = []
    number = 0
    streets = [network.streets[i] for i in rng.permutation(len(network.streets))]
    for street in streets:
        legs = np.diff(street.line, axis=0)
        lengths = np.hypot(legs[:, 0], legs[:, 1])
        total = lengths.sum()
        ends = np.concatenate([[0], np.cumsum(lengths)])
        for side in (-1, 1):
            # Rows of one street mostly share their kind of building: that is what gives streets a character.
            usual = int(rng.choice(len(weights), p=weights / weights.sum()))
            s = rng.uniform(1, 6)
            while s < total - 4:
                pick = usual if rng.random() < 0.75 else int(rng.choice(len(weights), p=weights / weights.sum()))
                build = region.builds[pick]
                front, depth, setback = (float(rng.uniform(*r)) for r in (build.front_m, build.depth_m, build.setback_m))
                leg = int(np.clip(np.searchsorted(ends, s + front / 2) - 1, 0, len(legs) - 1))
                along = legs[leg] / max(lengths[leg], 1e-6)
                out = np.array([-along[1], along[0]]) * side
                base = street.line[leg] + along * (s + front / 2 - ends[leg])
                kerb = street.width_m / 2 + region.sidewalk_m
                spot = base + out * (kerb + setback + depth / 2)
                angle = float(np.arctan2(along[1], along[0]) + rng.normal(0, 0.02) + (np.pi if side < 0 else 0))
                s += front + float(rng.uniform(*build.gap_m))
                if rng.random() > region.density or not canvas.mask_at(built, spot[0], spot[1]):
                    continue
                # Walls may touch: the test leaves the width of a cell of the canvas on each side.
                if not taken.free(rectangle(spot[0], spot[1], front - 2, depth - 2, angle)) or np.abs(spot).max() > canvas.half_m - 15:
                    continue
                taken.fill(rectangle(spot[0], spot[1], front, depth, angle), 1)
                _plot(region, canvas, spot, out, front + build.gap_m[1], depth, setback, angle, rng)
                rows += draw_building(build, spot[0], spot[1], front, depth, angle, number, rng)
                number += 1
                if setback > 3 and rng.random() < 0.7:
                    gate = base + out * kerb + along * rng.uniform(-0.3, 0.3) * front
                    canvas.line(
                        np.array([gate, gate + out * (setback + 1)]),
                        float(rng.uniform(1.5, 4.5)),
                        CONCRETE if rng.random() < 0.6 else STREET,
                    )
                back = spot + out * (depth / 2 + rng.uniform(5, 9)) + along * rng.uniform(-0.3, 0.3) * front
                yards.append((back, angle, front))
                if (
                    region.garden_trees > 8
                    and rng.random() < 0.35
                    and taken.free(rectangle(back[0], back[1], 4, 3.2, angle))
                    and canvas.mask_at(built, back[0], back[1])
                ):
                    size = rng.uniform(2.2, 5, 2)
                    taken.fill(rectangle(back[0], back[1], size[0], size[1], angle), 1)
                    rgb = np.clip(np.array([0.3, 0.25, 0.2]) * rng.uniform(0.5, 1.6), 0.03, 0.9)
                    rows.append((*back, *size, angle, 2.3, 0.0, FLAT, *rgb, *rgb, number))
                    number += 1
                if rng.random() < region.walled:
                    rows += _wall(spot + out * 2.0, front + 3, depth + 7, angle, number)
                    number += 1
    return Parts.of(rows), yards


def _plot(
    region: Region, canvas: Canvas, spot: npt.NDArray[np.float64], out: npt.NDArray[np.float64], width: float, depth: float, setback: float,
    angle: float, rng: np.random.Generator,
) -> None:  # fmt: skip
    """The ground of one plot: its own, with a bed or a terrace behind the house."""
    yard = _YARDS[region.yard]
    back = float(rng.uniform(8, 20))
    ground = int(rng.choice((LAWN, WILD, PAVING, SOIL), p=np.asarray(region.plots) / sum(region.plots)))
    if ground != yard:
        middle = spot + out * (back - setback) / 2
        canvas.fill_over(rectangle(middle[0], middle[1], width, depth + setback + back, angle), ground, yard)
    for _ in range(int(rng.integers(0, 3))):
        bed = spot + out * (depth / 2 + rng.uniform(1, back)) + np.array([-out[1], out[0]]) * rng.uniform(-0.4, 0.4) * width
        size = rng.uniform(1.5, 7, 2)
        kind = int(rng.choice((SOIL, PAVING, WILD, CONCRETE)))
        canvas.fill_over(rectangle(bed[0], bed[1], size[0], size[1], angle), kind, ground)


def _wall(spot: npt.NDArray[np.float64], w: float, d: float, angle: float, number: int) -> list[tuple[float, ...]]:
    c, s = np.cos(angle), np.sin(angle)
    rgb = (0.5, 0.44, 0.36)
    rows: list[tuple[float, ...]] = []
    for u, v, a, b in ((0, -d / 2, w, 0.35), (0, d / 2, w, 0.35), (-w / 2, 0, 0.35, d), (w / 2, 0, 0.35, d)):
        rows.append((spot[0] + u * c - v * s, spot[1] + u * s + v * c, a, b, angle, 1.6, 0.0, FLAT, *rgb, *rgb, number))
    return rows


def _pools(
    region: Region, yards: list[tuple[npt.NDArray[np.float64], float, float]], canvas: Canvas, taken: Canvas, rng: np.random.Generator
) -> None:
    for back, angle, _ in yards:
        if rng.random() < region.pools and taken.free(rectangle(back[0], back[1], 11, 7, angle)):
            canvas.fill(rectangle(back[0], back[1], 11, 7.4, angle), CONCRETE)
            canvas.fill(rectangle(back[0], back[1], rng.uniform(5, 9), rng.uniform(3, 5), angle), POOL)
            taken.fill(rectangle(back[0], back[1], 11, 7, angle), 1)
