"""Where pictures show the points of a cloud.

The satellite picture shows them straight below, the drone picture through its camera, and a panorama that is redrawn as seen from above by
their bearing and elevation.

Picture coordinates (x, y) run from -1 to 1 between a picture's outer edges, x right and y down. Axes: P clouds, N points, T of them, G
tokens of a satellite picture.
"""

from __future__ import annotations

import torch

from crossfix.models.overhead import distance_from_middle
from crossfix.train.ground import Facing
from crossfix.train.overlap import EDGE, unwarped

_SECTORS = 36  # of the horizon: in each, what is near hides what is far
_LOWEST_DEG = -44.0  # redrawn panoramas show nothing further down


def on_satellite(xyz_PN3: torch.Tensor, warp_P23: torch.Tensor, side_m: float) -> torch.Tensor:
    """Where points lie in augmented satellite pictures.

    Args:
        xyz_PN3: metres about the place: east, north, up.
        warp_P23: similarities from pictures to stored ones, which have north up and the place in their middle.
        side_m: ground that a stored picture spans.

    Returns:
        (P, N, 2) picture coordinates.
    """
    return unwarped(xyz_PN3[..., :2] * torch.tensor([2 / side_m, -2 / side_m]), warp_P23)


def heights_under(xyz_PN3: torch.Tensor, warp_P23: torch.Tensor, side_m: float, grid: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean heights of the points that lie under each token of satellite pictures.

    Args:
        xyz_PN3: clouds in metres about the place: east, north, up. NaN where metres are not known.
        warp_P23: as for `on_satellite`.
        side_m: likewise.
        grid: rows and columns of tokens.

    Returns:
        Heights (P, G) in metres, rows of tokens from the top, and bool (P, G), whether any point lies there.
    """
    rows, columns = grid
    at_PN2 = on_satellite(xyz_PN3, warp_P23, side_m)
    column_PN, row_PN = ((at_PN2[..., axis] + 1) / 2 * count for axis, count in ((0, columns), (1, rows)))
    inside_PN = (column_PN >= 0) & (column_PN < columns) & (row_PN >= 0) & (row_PN < rows)  # false for NaN
    cell_PN = torch.where(inside_PN, row_PN.floor() * columns + column_PN.floor(), 0).long()
    count_PG = torch.zeros(len(xyz_PN3), rows * columns).scatter_add_(1, cell_PN, inside_PN.float())
    height_PG = torch.zeros_like(count_PG).scatter_add_(1, cell_PN, torch.where(inside_PN, xyz_PN3[..., 2], 0.0))
    return height_PG / count_PG.clamp(min=1), count_PG > 0


def sightings(
    xyz_PN3: torch.Tensor,
    camera_P34: torch.Tensor,
    drone_P23: torch.Tensor,
    satellite_P23: torch.Tensor,
    side_m: float,
    count: int,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Points of clouds that both pictures of a place show.

    Whether something hides them is not asked: at the size of tokens it matters little.

    Args:
        xyz_PN3: clouds in metres about the place. NaN where metres are not known.
        camera_P34: projections to the stored drone pictures, see `Built.cameras_V34`; NaN where they are not known.
        drone_P23: similarities from the augmented to the stored drone pictures.
        satellite_P23: the same of the satellite pictures.
        side_m: ground that a stored satellite picture spans.
        count: T, of the points that are seen so many are drawn; where there are fewer, the rest does not count.
        generator: draws them; on the CPU.

    Returns:
        (P, T, 2) points in the augmented drone pictures, (P, T, 2) the same in the augmented satellite pictures, and bool (P, T), which of
        them count.
    """
    seen_by_PN3 = xyz_PN3 @ camera_P34[:, :, :3].mT + camera_P34[:, None, :, 3]
    stored_PN2 = seen_by_PN3[..., :2] / seen_by_PN3[..., 2:]
    drone_PN2, satellite_PN2 = unwarped(stored_PN2, drone_P23), on_satellite(xyz_PN3, satellite_P23, side_m)
    square_PN2 = xyz_PN3[..., :2] * (2 / side_m)
    seen_PN = seen_by_PN3[..., 2] > 0
    for point_PN2 in (stored_PN2, square_PN2, drone_PN2, satellite_PN2):
        seen_PN = seen_PN & (point_PN2.abs().amax(2) <= EDGE)  # false for NaN
    return _some(drone_PN2, satellite_PN2, seen_PN, count, generator)


def ground_sightings(
    xyz_PN3: torch.Tensor,
    eye_P3: torch.Tensor,
    facing: Facing,
    satellite_P23: torch.Tensor,
    side_m: float,
    count: int,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Points of clouds that a panorama, redrawn as seen from above, and the satellite picture of its place show.

    From the ground most of a place is hidden by what stands before it, see `in_sight`.

    Args:
        xyz_PN3: clouds in metres about the place. NaN where metres are not known.
        eye_P3: where the panoramas were taken, metres about the place; NaN where that is not known.
        facing: how the panoramas stand.
        satellite_P23: similarities from the augmented to the stored satellite pictures.
        side_m: as for `sightings`.
        count: likewise.
        generator: likewise.

    Returns:
        (P, T, 2) points in the redrawn panoramas, (P, T, 2) the same in the augmented satellite pictures, and bool (P, T), which of them
        count.
    """
    way_PN3 = xyz_PN3 - eye_P3[:, None]
    ground_PN2, shown_PN = on_overhead(way_PN3, facing)
    satellite_PN2 = on_satellite(xyz_PN3, satellite_P23, side_m)
    square_PN2 = xyz_PN3[..., :2] * (2 / side_m)
    seen_PN = shown_PN & in_sight(way_PN3)
    for point_PN2 in (square_PN2, ground_PN2, satellite_PN2):
        seen_PN = seen_PN & (point_PN2.abs().amax(2) <= EDGE)  # false for NaN
    return _some(ground_PN2, satellite_PN2, seen_PN, count, generator)


def sighted_on_map(
    sighted_GS4: torch.Tensor, facing: Facing, satellite_G23: torch.Tensor, count: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same as `ground_sightings` of points that are known to be seen.

    Args:
        sighted_GS4: bearing, elevation and place in the stored satellite picture, see `PairBank.truth`.
        facing: how the panoramas stand.
        satellite_G23: similarities from the augmented to the stored satellite pictures.
        count: as for `sightings`.
        generator: likewise.
    """
    bearing_GS, elevation_GS = (sighted_GS4[..., axis].deg2rad() for axis in (0, 1))
    ground_GS2, seen_GS = on_overhead(torch.stack([bearing_GS.sin(), bearing_GS.cos(), elevation_GS.tan()], 2), facing)
    satellite_GS2 = unwarped(sighted_GS4[..., 2:], satellite_G23)
    for point_GS2 in (ground_GS2, satellite_GS2):
        seen_GS = seen_GS & (point_GS2.abs().amax(2) <= EDGE)  # false for NaN
    return _some(ground_GS2, satellite_GS2, seen_GS, count, generator)


def on_overhead(way_PN3: torch.Tensor, facing: Facing) -> tuple[torch.Tensor, torch.Tensor]:
    """Where panoramas that are redrawn as seen from above show points: the way back of `crossfix.train.ground.redrawn`.

    Args:
        way_PN3: from the camera to each point: east, north, up.
        facing: how the panoramas stand.

    Returns:
        (P, N, 2) picture coordinates, and bool (P, N), whether the bearing and the elevation are drawn at all.
    """
    elevation_PN = torch.atan2(way_PN3[..., 2], way_PN3[..., :2].norm(dim=2)).rad2deg()
    bearing_PN = torch.atan2(way_PN3[..., 0], way_PN3[..., 1]) - facing.away_deg_G.deg2rad()[:, None]
    compass_PN2 = torch.stack([bearing_PN.sin(), -bearing_PN.cos()], 2)
    drawn_PN2 = torch.linalg.solve(facing.warp_G22, compass_PN2.mT).mT
    drawn_PN2 = drawn_PN2 / drawn_PN2.norm(dim=2, keepdim=True)
    from_middle_PN = torch.atan2(drawn_PN2[..., 0], -drawn_PN2[..., 1]).rad2deg() - facing.middle_deg_G[:, None]
    from_middle_PN = (from_middle_PN + 180).remainder(360) - 180
    shown_PN = (from_middle_PN.abs() <= facing.fov_deg_G[:, None] / 2) & (elevation_PN >= _LOWEST_DEG)
    return drawn_PN2 * torch.from_numpy(distance_from_middle(elevation_PN.numpy()))[..., None], shown_PN


def in_sight(way_PN3: torch.Tensor) -> torch.Tensor:
    """Which points nothing nearer hides, as far as the points themselves tell.

    The horizon is cut into sectors. Of two points of one sector the nearer hides the farther unless that rises above it. Of a sparse cloud
    in sectors of ten degrees this hides too much rather than too little; between high houses it lets through what they hide, too.

    Args:
        way_PN3: from the camera to each point: east, north, up. NaN is out of sight.

    Returns:
        Bool (P, N).
    """
    away_PN = way_PN3[..., :2].norm(dim=2)
    elevation_PN = torch.atan2(way_PN3[..., 2], away_PN).rad2deg()
    known_PN = elevation_PN.isfinite()
    turn_PN = torch.atan2(way_PN3[..., 0], way_PN3[..., 1]) / (2 * torch.pi) + 0.5
    sector_PN = torch.where(known_PN, (turn_PN * _SECTORS).floor().clamp(0, _SECTORS - 1), _SECTORS)
    # Sectors one after another, each from near to far; a full turn a sector keeps the running maximum from one to the next.
    order_PN = (sector_PN + torch.where(known_PN, away_PN / (away_PN.nan_to_num().amax() + 1), 0.0)).argsort(dim=1)
    rising_PN = (360 * sector_PN + torch.where(known_PN, elevation_PN, 0.0)).gather(1, order_PN)
    highest_PN = rising_PN.cummax(dim=1).values.roll(1, 1)
    highest_PN[:, 0] = -torch.inf
    nearest_PN = rising_PN - highest_PN > 180  # the first of its sector
    seen_PN = nearest_PN | (rising_PN > highest_PN)
    return torch.zeros_like(known_PN).scatter_(1, order_PN, seen_PN) & known_PN


def _some(
    first_PN2: torch.Tensor, second_PN2: torch.Tensor, seen_PN: torch.Tensor, count: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw points of those that count; where there are too few, the rest are zeros that do not."""
    order_PN = torch.rand(seen_PN.shape, generator=generator) + seen_PN
    chosen_PT = order_PN.topk(min(count, order_PN.shape[1]), dim=1).indices
    seen_PT = seen_PN.gather(1, chosen_PT)
    first_PT2, second_PT2 = (
        torch.where(seen_PT[..., None], point_PN2.gather(1, chosen_PT[..., None].expand(-1, -1, 2)), 0.0)
        for point_PN2 in (first_PN2, second_PN2)
    )
    return first_PT2, second_PT2, seen_PT
