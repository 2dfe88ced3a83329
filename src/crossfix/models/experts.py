"""The multi-expert block: a point encoder's vector to the length of the pictures' descriptor.

Axes: B clouds, V entries of the encoder's vector, D entries of the descriptor, E experts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

ExpertKind = Literal["linear", "conv"]


class MultiExperts(nn.Module):
    """Some experts weighed by a gate, and one shared by all clouds, side by side: (B, V) to (B, D), not normalised.

    Every expert gives an equal part of the descriptor (the first ones one entry more where D does not divide). The gate is a softmax over
    the weighed experts; all of them run, none is chosen.

    Two kinds. "conv" is GeoLink's published code: the vector is taken for a signal of one channel, convolved, and averaged over its whole
    length. What that keeps is how often values, or runs of neighbouring values, occur in the vector, not where: the shared expert, of
    kernel 1, gives the same whatever the order of the entries, and entries of a learned vector have no order. "linear", ours, is a
    perceptron with the same gate, which sees which entry holds what.

    Args:
        in_dim: V.
        out_dim: D, more than the experts.
        experts: weighed by the gate, beside the shared one.
        kind: see above.
        dilations: of each weighed expert's convolution; None: 1, 2, 3, ... as the published comments say, while the code has 1 for all.
    """

    def __init__(
        self, in_dim: int, out_dim: int, experts: int = 3, *, kind: ExpertKind = "linear", dilations: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        sizes = [out_dim // (experts + 1) + (i < out_dim % (experts + 1)) for i in range(experts + 1)]
        steps = tuple(dilations or range(1, experts + 1))
        self.gate = nn.Sequential(nn.Linear(in_dim, in_dim // 2), nn.ReLU(), nn.Linear(in_dim // 2, experts))
        if kind == "conv":
            made = [_Convolved(size, 3, step) for size, step in zip(sizes[:-1], steps, strict=True)]
            self.weighed = nn.ModuleList(made)
            self.shared: nn.Module = _Convolved(sizes[-1], 1, 1)
        else:
            self.weighed = nn.ModuleList(_perceptron(in_dim, size) for size in sizes[:-1])
            self.shared = _perceptron(in_dim, sizes[-1])
        self.out_dim = out_dim

    def forward(self, vector_BV: torch.Tensor) -> torch.Tensor:
        """Map vectors to descriptors."""
        share_BE = self.gate(vector_BV).softmax(1)
        parts = [share_BE[:, i : i + 1] * expert(vector_BV) for i, expert in enumerate(self.weighed)]
        return torch.cat([*parts, self.shared(vector_BV)], 1)


class _Convolved(nn.Module):
    """Convolution over the vector's entries, batch norm, ReLU, mean."""

    def __init__(self, out_dim: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, out_dim, kernel, padding=dilation * (kernel // 2), dilation=dilation)
        self.norm = nn.BatchNorm1d(out_dim)

    def forward(self, vector_BV: torch.Tensor) -> torch.Tensor:
        pooled_BD: torch.Tensor = self.norm(self.conv(vector_BV[:, None])).relu().mean(2)
        return pooled_BD


def _perceptron(in_dim: int, out_dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_dim, in_dim, bias=False), nn.BatchNorm1d(in_dim), nn.ReLU(), nn.Linear(in_dim, out_dim))
