"""Simple aggregators: generalised-mean and mean pooling, and the class token.

Axes: B batch, N tokens, D features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from crossfix.errors import ModelError


class GeM(nn.Module):
    """Generalised-mean pooling (Radenović et al., 2018) with one learnable exponent, and optionally a linear projection.

    Negative features count as zero: of encoders whose maps are signed (ConvNeXt, MobileNet's linear bottlenecks) it sees one half.

    Args:
        dim: features of a token.
        out_dim: length of the descriptor after a linear projection; None: no projection, the descriptor has `dim` entries.
        p: exponent at the start; 1 is the mean, large ones approach the maximum.
        eps: tokens are clamped to at least this, which keeps powers and their gradients finite.
        unit: tokens are scaled to unit norm first, as in CosPlace (Berton, Masone and Caputo, CVPR 2022) and EigenPlaces.
    """

    def __init__(self, dim: int, out_dim: int | None = None, *, p: float = 3.0, eps: float = 1e-6, unit: bool = False) -> None:
        super().__init__()
        self.unit = unit
        self.p = nn.Parameter(torch.tensor(float(p)))
        self.eps = eps
        self.project = nn.Identity() if out_dim is None else nn.Linear(dim, out_dim)
        self.out_dim = dim if out_dim is None else out_dim

    def forward(self, tok_BND: torch.Tensor, cls_BD: torch.Tensor | None = None) -> torch.Tensor:
        """Pool tokens into unit-norm descriptors (B, out_dim); the class token is not used. Powers and norm run in float32."""
        with torch.autocast(tok_BND.device.type, enabled=False):
            wide = torch.promote_types(tok_BND.dtype, torch.float32)
            tok_BND = F.normalize(tok_BND.to(wide), dim=-1) if self.unit else tok_BND.to(wide)
            pooled_BD = tok_BND.clamp(min=self.eps).pow(self.p).mean(1).pow(1 / self.p)
            return F.normalize(self.project(pooled_BD), dim=-1)


class Mean(nn.Module):
    """Mean of the tokens, optionally followed by a layer norm.

    With the norm it is the pooled output of timm's ConvNeXt (mean over the map, then its head's norm): Sample4Geo's descriptor.

    Args:
        dim: features of a token, and length of the descriptor.
        norm: whether a layer norm (eps 1e-6) follows the mean.
    """

    def __init__(self, dim: int, *, norm: bool = False) -> None:
        super().__init__()
        self.out_dim = dim
        self.norm = nn.LayerNorm(dim, eps=1e-6) if norm else nn.Identity()

    def forward(self, tok_BND: torch.Tensor, cls_BD: torch.Tensor | None = None) -> torch.Tensor:
        """Average tokens into unit-norm descriptors (B, dim), in float32; the class token is not used."""
        with torch.autocast(tok_BND.device.type, enabled=False):
            return F.normalize(self.norm(tok_BND.mean(1, dtype=torch.promote_types(tok_BND.dtype, torch.float32))), dim=-1)


class ClassToken(nn.Module):
    """The encoder's class token.

    Args:
        dim: features of a token, and length of the descriptor.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_dim = dim

    def forward(self, tok_BND: torch.Tensor, cls_BD: torch.Tensor | None = None) -> torch.Tensor:
        """Normalise class tokens to unit norm (B, dim), in float32; patch tokens are not used.

        Raises:
            ModelError: if the encoder gives no class token.
        """
        if cls_BD is None:
            raise ModelError("there is no class token to take", mend="use an encoder with one, or the head mean")
        return F.normalize(cls_BD.to(torch.promote_types(cls_BD.dtype, torch.float32)), dim=-1)
