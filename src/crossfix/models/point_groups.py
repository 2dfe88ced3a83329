"""Which points of a cloud are centres and which are their neighbours: found once, kept beside the cloud, since clouds do not change.

Axes: B clouds, N points, M centres, K neighbours, C channels, T entries of a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from crossfix.errors import ModelError

_MOST_DISTANCES = 1 << 24  # computed at once: 64 MiB in float32


class Stage(NamedTuple):
    """The groups of one stage; indices are those of the points of the stage before.

    Attributes:
        centre_BM: each group's centre.
        near_BMK: the centre's nearest points, itself among them.
    """

    centre_BM: torch.Tensor
    near_BMK: torch.Tensor


@torch.no_grad()
def farthest_points(pts_BN3: torch.Tensor, count: int) -> torch.Tensor:
    """Farthest-point sampling: each point chosen is the one farthest from all chosen before.

    The first is the point farthest from the centroid, so the choice depends on the set of points and not on their order (equal distances
    aside). The steps follow each other by nature; every step treats all clouds at once.

    Args:
        pts_BN3: positions, finite.
        count: points to choose, at most N.

    Returns:
        (B, count) int64 indices in the order of choice: the first m of them are what a smaller count would have given.

    Raises:
        ModelError: if there are fewer points than asked for.
    """
    batch, points, _ = pts_BN3.shape
    if not 1 <= count <= points:
        raise ModelError(f"cannot choose {count} of {points} points", mend="sample clouds to more points or ask for fewer centres")
    xyz_B3N = pts_BN3.float().mT.contiguous()
    rows_B = torch.arange(batch, device=pts_BN3.device)
    chosen_BM = torch.empty(batch, count, dtype=torch.int64, device=pts_BN3.device)
    last_B = (xyz_B3N - xyz_B3N.mean(2, keepdim=True)).square().sum(1).argmax(1)
    least_BN = torch.full((batch, points), torch.inf, device=pts_BN3.device)
    for step in range(count):
        chosen_BM[:, step] = last_B
        gap_B3N = xyz_B3N - xyz_B3N[rows_B, :, last_B].unsqueeze(2)
        least_BN = torch.minimum(least_BN, gap_B3N.square_().sum(1))
        last_B = least_BN.argmax(1)
    return chosen_BM


@torch.no_grad()
def nearest_points(centre_BM3: torch.Tensor, pts_BN3: torch.Tensor, count: int) -> torch.Tensor:
    """The nearest points of each centre.

    Args:
        centre_BM3: positions to search around.
        pts_BN3: positions to search.
        count: points a centre, at most N.

    Returns:
        (B, M, count) int64 indices into the points, in no particular order. Distances are taken in pieces of at most 64 MiB.

    Raises:
        ModelError: if there are fewer points than asked for.
    """
    batch, points, _ = pts_BN3.shape
    if not 1 <= count <= points:
        raise ModelError(f"a centre cannot have {count} neighbours among {points} points", mend="ask for fewer neighbours")
    piece = max(1, _MOST_DISTANCES // (batch * points))
    found = [
        torch.cdist(part_BM3.float(), pts_BN3.float(), compute_mode="donot_use_mm_for_euclid_dist").topk(
            count, largest=False, sorted=False
        )[1]
        for part_BM3 in torch.split(centre_BM3, piece, dim=1)
    ]
    return torch.cat(found, 1)


def rows(index_BX: torch.Tensor, points: int) -> torch.Tensor:
    """Indices into each cloud's points as indices into all clouds' points, laid end to end; same shape."""
    start_B = torch.arange(0, len(index_BX) * points, points, device=index_BX.device)
    return index_BX + start_B.view(-1, *[1] * (index_BX.ndim - 1))


def take(value_BNC: torch.Tensor, index_BX: torch.Tensor) -> torch.Tensor:
    """Rows of each cloud by index: (B, N, C) and (B, ...) to (B, ..., C)."""
    points, channels = value_BNC.shape[1:]
    return value_BNC.flatten(0, 1).index_select(0, rows(index_BX, points).flatten()).view(*index_BX.shape, channels)


def table_length(centres: Sequence[int], neighbours: int) -> int:
    """Entries of a cloud's table."""
    return sum(count * (1 + neighbours) for count in centres)


@torch.no_grad()
def make_table(pts_BN3: torch.Tensor, centres: Sequence[int], neighbours: int) -> torch.Tensor:
    """All stages' groups of each cloud, as one row of small integers to keep beside it.

    Turning, shifting or scaling a whole cloud leaves its table as it is.

    Args:
        pts_BN3: positions.
        centres: centres of each stage, chosen from those of the stage before.
        neighbours: neighbours of a centre, found among the points of the stage before.

    Returns:
        (B, T) int16, T as `table_length` says: for the default of `PointConfig` 1,152 entries, 2.3 KiB a cloud.

    Raises:
        ModelError: if a stage has fewer points than centres or neighbours asked for, or a cloud has more than 32,767 points.
    """
    if pts_BN3.shape[1] > torch.iinfo(torch.int16).max:
        raise ModelError(f"clouds of {pts_BN3.shape[1]} points have no tables", mend="sample them to at most 32767 points, 1024 as a rule")
    parts = []
    for count in centres:
        centre_BM = farthest_points(pts_BN3, count)
        centre_BM3 = take(pts_BN3, centre_BM)
        parts += [centre_BM, nearest_points(centre_BM3, pts_BN3, neighbours).flatten(1)]
        pts_BN3 = centre_BM3
    return torch.cat(parts, 1).to(torch.int16)


def split_table(table_BT: torch.Tensor, centres: Sequence[int], neighbours: int) -> list[Stage]:
    """The stages of what `make_table` wrote.

    Raises:
        ModelError: if the table was made for other centres or neighbours.
    """
    if table_BT.shape[1] != table_length(centres, neighbours):
        raise ModelError(
            f"neighbour tables of {table_BT.shape[1]} entries do not belong to centres {tuple(centres)} with {neighbours} neighbours",
            mend="make them again with this model's config",
        )
    stages, start = [], 0
    for count in centres:
        centre_BM, near_BX, start = (
            table_BT[:, start : start + count],
            table_BT[:, start + count : start + count * (1 + neighbours)],
            start + count * (1 + neighbours),
        )
        stages.append(Stage(centre_BM.long(), near_BX.long().view(len(near_BX), count, neighbours)))
    return stages
