"""Panoramas of a bank's places, and the points of them that the satellite squares show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from crossfix.worlds.epoch import Epoch
from crossfix.worlds.noise import keyed_rng
from crossfix.worlds.poses import EYE_M, OpenGround
from crossfix.worlds.scene import Shot
from crossfix.worlds.sensor import Sensor
from crossfix.worlds.world import World

if TYPE_CHECKING:
    from crossfix.worlds.pairs import BankPlan

HAS_GROUND, GROUND_HEADING, GROUND_POINTS = "has_ground", "ground_heading_deg", "ground_points"
_SIDE_M = 260.0  # of a chip on which a panorama is a small part and no speck
_AWAY = 0.1  # of the chip's side: from its middle to where the panorama was taken, at most
_FAR_M = 100.0  # so far a pixel counts the more the farther it sees, for most of them see the ground at the camera's feet
_STEEPEST_DEG = -44.0  # redrawn panoramas show nothing further down

Floats = npt.NDArray[np.float64]


def draw_panoramas(world: World, plan: BankPlan, centres: Floats, sides: Floats, margin: float, number: int) -> dict[str, npt.NDArray[Any]]:
    """Panoramas of a world's places, each of a day of its own as far as there are several; other draws than the other views'.

    Args:
        world: the places lie in.
        plan: of the bank.
        centres: of the chips, east and north, (P, 2).
        sides: of the chips in metres, (P,).
        margin: sides that a satellite square spans.
        number: of the world.

    Returns:
        Arrays by name: ``ground`` and those of `PairBank.truth` that go with it.
    """
    rng = keyed_rng(plan.seed, "panoramas", number)
    height = plan.panorama_px
    ground = np.zeros((len(sides), plan.panoramas, height, 4 * height, 3), np.uint8)
    has_ground, heading_deg = np.zeros(len(sides), bool), np.zeros((len(sides), plan.panoramas), np.float32)
    points = np.full((len(sides), plan.panoramas, plan.sighted, 4), np.nan, np.float32)
    open_ground: OpenGround | None = None
    for day in range(min(2, plan.panoramas)):
        scene = world.scene(Epoch.draw(int(rng.integers(2**31)), "photo"))
        open_ground = open_ground or OpenGround(world, scene)
        for place in np.flatnonzero(sides <= _SIDE_M):
            for view in range(day, plan.panoramas, 2):
                spot = open_ground.around(float(centres[place, 0]), float(centres[place, 1]), _AWAY * float(sides[place]), rng)
                if spot is None:
                    continue
                up = float(world.ground_height(*spot)) + EYE_M
                sensor, heading = Sensor.draw(int(rng.integers(2**31))), float(rng.uniform(0, 360))
                shot = scene.panorama(*spot, up, 4 * height, height, heading, samples=1, sensor=sensor)
                ground[place, view] = shot.rgb
                if plan.sighted:
                    draws = keyed_rng(plan.seed, "sighted", number, int(place), view)
                    points[place, view] = sighted(shot, centres[place], margin * float(sides[place]), plan.sighted, draws)
                has_ground[place], heading_deg[place, view] = True, heading
    found = {"ground": ground, HAS_GROUND: has_ground, GROUND_HEADING: heading_deg}
    return found | {GROUND_POINTS: points} if plan.sighted else found


def sighted(shot: Shot, centre: Floats, side_m: float, count: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Points that a panorama shows and the satellite square of its place, too.

    Args:
        shot: the panorama.
        centre: of the satellite square, east and north.
        side_m: of the satellite square.
        count: of the points, drawn among the pixels; those at the camera's feet are many, and seldom drawn.
        rng: draws them.

    Returns:
        (count, 4), see `PairBank.truth`.
    """
    seen = np.isfinite(shot.depth)
    way_N3 = (shot.directions * np.where(seen, shot.depth, 0)[..., None])[seen].astype(np.float64)
    away_N = np.hypot(way_N3[:, 0], way_N3[:, 1])
    bearing_N, elevation_N = np.degrees(np.arctan2(way_N3[:, 0], way_N3[:, 1])), np.degrees(np.arctan2(way_N3[:, 2], away_N))
    square_N2 = (shot.origins[:2] + way_N3[:, :2] - centre) * (1, -1) / (side_m / 2)
    rows = np.flatnonzero((np.abs(square_N2).max(1) <= 1) & (elevation_N >= _STEEPEST_DEG))
    weight = np.minimum(away_N[rows], _FAR_M)
    rows = rng.choice(rows, min(count, len(rows)), replace=False, p=weight / weight.sum()) if len(rows) else rows
    points = np.full((count, 4), np.nan, np.float32)
    points[: len(rows)] = np.column_stack([bearing_N, elevation_N, square_N2])[rows]
    return points
