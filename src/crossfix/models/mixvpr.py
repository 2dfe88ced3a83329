"""MixVPR: perceptrons mix a feature map over its positions, then project its channels and its positions.

Source: Ali-bey, Chaib-draa and Giguère, "MixVPR: Feature Mixing for Visual Place Recognition", WACV 2023. CV-Cities and GeoLink put it on
the patch tokens of DINOv2: 32 x 32 tokens of a 448 px picture, two mixers, 1024 channels x 4 rows.

Axes: B batch, N tokens, D features of a token, K projected features, R rows.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from crossfix.errors import ModelError


class MixVpr(nn.Module):
    """The MixVPR head: tokens to a unit-norm descriptor of `channels * rows` entries.

    With the map X (D, N), each mixer adds W2 relu(W1 norm(x) + b1) + b2 to every row x of X, that is, it mixes the positions of one
    feature, alike for all features. Then Z = (C X + c) R' + r with C (K, D) and R (rows, N), flattened channel by channel (entry
    k * rows + j is row j of channel k) and normalised.

    Args:
        dim: features of a token.
        tokens: number of tokens N; a picture has to have exactly as many.
        channels: projected features K.
        rows: projected positions.
        depth: mixers.
        ratio: hidden width of a mixer over N.
    """

    def __init__(self, dim: int, tokens: int, channels: int = 1024, rows: int = 4, depth: int = 2, ratio: float = 1.0) -> None:
        super().__init__()
        self.tokens = tokens
        self.out_dim = channels * rows
        self.mixers = nn.ModuleList(_mixer(tokens, int(tokens * ratio)) for _ in range(depth))
        self.channel = nn.Linear(dim, channels)
        self.row = nn.Linear(tokens, rows)

    def forward(self, tok_BND: torch.Tensor, cls_BD: torch.Tensor | None = None) -> torch.Tensor:
        """Mix and project tokens into unit-norm descriptors (B, out_dim), normalised in float32; the class token is not used.

        Raises:
            ModelError: for another number of tokens than the head was made for.
        """
        if tok_BND.shape[1] != self.tokens:
            raise ModelError(
                f"MixVPR was made for {self.tokens} tokens, got {tok_BND.shape[1]}",
                mend="resize pictures to the model's px; a head that takes any size is salad, netvlad, gem or mean",
            )
        map_BDN = tok_BND.transpose(1, 2)
        for mixer in self.mixers:
            map_BDN = map_BDN + mixer(map_BDN)
        # Positions first: the same product as channels first, but K N D multiplications a picture fewer and no (K, N) map to keep.
        map_BDR = F.linear(map_BDN, self.row.weight)
        bias_KR = torch.outer(self.channel.bias, self.row.weight.sum(1)) + self.row.bias
        out_BKR = F.linear(map_BDR.transpose(1, 2), self.channel.weight).transpose(1, 2) + bias_KR
        return F.normalize(out_BKR.flatten(1).to(torch.promote_types(out_BKR.dtype, torch.float32)), dim=-1)


def _mixer(tokens: int, hidden: int) -> nn.Sequential:
    mixer = nn.Sequential(nn.LayerNorm(tokens), nn.Linear(tokens, hidden), nn.ReLU(), nn.Linear(hidden, tokens))
    for layer in mixer:
        if isinstance(layer, nn.Linear):  # as published; the projections keep torch's initial weights
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
    return mixer
