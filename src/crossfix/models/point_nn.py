"""Point-NN: an encoder of point clouds that has no parameters.

Source: Zhang et al., "Parameter is Not All You Need", CVPR 2023, section 3: farthest-point sampling, nearest neighbours, trigonometric
encoding and pooling, in stages.

Axes: B clouds, N points, M centres, K neighbours, C channels, T entries of a neighbour table.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from crossfix.models.point_encoding import encode_positions
from crossfix.models.point_groups import make_table, split_table, take

_MOST_VALUES = 1 << 23  # of the widest tensor held at once, over all clouds of a piece
_EPS = 1e-5


class PointNN(nn.Module):
    """Clouds to descriptors without learning: (B, N, C) to (B, width * 2^stages).

    Points are encoded by sines and cosines. Every stage keeps centres chosen by farthest-point sampling; each centre's neighbours, as
    differences to it, get the centre's own code appended and are weighed by the code E of their offset, (x + E) * E; the maximum and the
    mean over the neighbours are added and pass a GELU. At last maximum and mean over the points are added.

    The result does not depend on the points' order (up to rounding, and where no distances tie), nor on the other clouds of the batch: the
    published code divides by a standard deviation over the whole batch, we by each cloud's own. It does depend on position, scale and
    direction. The GELU is in the published code and not in the paper.

    Args:
        width: channels of the first code; stage s has width * 2^s.
        centres: centres of each stage.
        neighbours: neighbours of a centre.
        alpha: see `encode_positions`.
        beta: see `encode_positions`.
    """

    def __init__(
        self,
        width: int = 72,
        centres: Sequence[int] = (512, 256, 128, 64),
        neighbours: int = 90,
        *,
        alpha: float = 1000.0,
        beta: float = 100.0,
    ) -> None:
        super().__init__()
        self.width = width
        self.centres = tuple(centres)
        self.neighbours = neighbours
        self.alpha = alpha
        self.beta = beta
        self.out_dim = width * 2 ** len(self.centres)

    @torch.no_grad()
    def forward(self, feature_BNC: torch.Tensor, table_BT: torch.Tensor | None = None) -> torch.Tensor:
        """Describe clouds.

        Args:
            feature_BNC: the first three channels are positions; further ones are encoded beside them.
            table_BT: what `make_table` gave for these clouds; None: it is made here, which is most of the work.

        Returns:
            (B, out_dim) float32, not normalised, without gradient.

        Raises:
            ModelError: if there are too few points, or the table is another config's.
        """
        if table_BT is None:
            table_BT = make_table(feature_BNC[..., :3], self.centres, self.neighbours)
        largest = max(count * self.neighbours * self.width * 2 ** (s + 1) for s, count in enumerate(self.centres))
        piece = max(1, _MOST_VALUES // largest)
        with torch.autocast(feature_BNC.device.type, enabled=False):
            parts = zip(torch.split(feature_BNC.float(), piece), torch.split(table_BT, piece), strict=True)
            return torch.cat([self._describe(feature_BNC, table_BT) for feature_BNC, table_BT in parts])

    def _describe(self, feature_BNC: torch.Tensor, table_BT: torch.Tensor) -> torch.Tensor:
        xyz_BN3 = feature_BNC[..., :3]
        code_BNC = self._encode(feature_BNC, self.width)
        for centre_BM, near_BMK in split_table(table_BT, self.centres, self.neighbours):
            centre_BM3, own_BMC = take(xyz_BN3, centre_BM), take(code_BNC, centre_BM)
            offset_BMK3 = _scaled(take(xyz_BN3, near_BMK) - centre_BM3[:, :, None])
            change_BMKC = _scaled(take(code_BNC, near_BMK) - own_BMC[:, :, None])
            both_BMKC = torch.cat([change_BMKC, own_BMC[:, :, None].expand_as(change_BMKC)], -1)
            weight_BMKC = self._encode(offset_BMK3, both_BMKC.shape[-1])
            both_BMKC.add_(weight_BMKC).mul_(weight_BMKC)
            xyz_BN3, code_BNC = centre_BM3, F.gelu(both_BMKC.amax(2) + both_BMKC.mean(2))
        return code_BNC.amax(1) + code_BNC.mean(1)

    def _encode(self, value_XA: torch.Tensor, channels: int) -> torch.Tensor:
        return encode_positions(value_XA, channels, alpha=self.alpha, beta=self.beta)


def _scaled(difference_BMKC: torch.Tensor) -> torch.Tensor:
    """Divide by the standard deviation over all entries of a cloud."""
    return difference_BMKC / (difference_BMKC.flatten(1).std(1)[:, None, None, None] + _EPS)
