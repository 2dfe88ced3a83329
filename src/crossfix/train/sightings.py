"""Where pictures show the points of a cloud: the satellite picture straight below them, the drone picture through its camera.

Picture coordinates (x, y) run from -1 to 1 between a picture's outer edges, x right and y down. Axes: P clouds, N points, T of them, G
tokens of a satellite picture.
"""

from __future__ import annotations

import torch

from crossfix.train.overlap import EDGE, unwarped


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
    order_PN = torch.rand(seen_PN.shape, generator=generator) + seen_PN
    chosen_PT = order_PN.topk(min(count, order_PN.shape[1]), dim=1).indices
    seen_PT = seen_PN.gather(1, chosen_PT)
    drone_PT2, satellite_PT2 = (
        torch.where(seen_PT[..., None], point_PN2.gather(1, chosen_PT[..., None].expand(-1, -1, 2)), 0.0)
        for point_PN2 in (drone_PN2, satellite_PN2)
    )
    return drone_PT2, satellite_PT2, seen_PT
