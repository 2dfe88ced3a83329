"""Tokens tell how high the ground under them stands: what a cloud knows and a picture only hints at.

Axes: B pictures, N tokens, C channels.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

_MARGIN = 0.1  # in units: pairs that differ less have no order


class TokenHeights(nn.Module):
    """Loss of predicting, from each token, the height of what it shows; one linear layer for all views, used in training alone.

    Heights are compared within a picture only: the mean over its known tokens is subtracted on both sides, since no picture tells where
    zero is. How they were made (cloud or scene projected into the view's grid) is not this loss's matter. In float32 even under autocast.

    Args:
        channels: of the tokens.
        kind: "value": smooth L1 between predicted and true heights. "order": for all pairs of tokens of a picture, the logistic loss of
            telling the higher one, which asks for no scale.
        unit: the height that counts as 1, in the targets' unit: 10 for metres, about 0.1 for clouds of radius 1.
    """

    def __init__(self, channels: int, kind: Literal["value", "order"] = "value", *, unit: float = 10.0) -> None:
        super().__init__()
        self.kind = kind
        self.unit = unit
        self.predict = nn.Linear(channels, 1)

    def forward(self, tok_BNC: torch.Tensor, height_BN: torch.Tensor, seen_BN: torch.Tensor) -> torch.Tensor:
        """The loss, a scalar: the mean over pictures with two known tokens ("order": that differ in height), 0 where there is none.

        Args:
            tok_BNC: tokens of pictures of any view.
            height_BN: heights of what they show; may hold anything where unknown.
            seen_BN: bool, where heights are known.
        """
        guess_BN = self.predict(tok_BNC).squeeze(-1)
        with torch.autocast(guess_BN.device.type, enabled=False):
            guess_BN = guess_BN.float()
            true_BN = torch.where(seen_BN, height_BN.float(), 0.0) / self.unit
            enough_B = seen_BN.sum(1) >= 2
            if self.kind == "value":
                error_BN = F.smooth_l1_loss(_centred(guess_BN, seen_BN), _centred(true_BN, seen_BN), reduction="none")
                loss_B = _mean(error_BN, seen_BN & enough_B[:, None])
            else:
                gap_BNN = true_BN[:, :, None] - true_BN[:, None, :]
                counts_BNN = seen_BN[:, :, None] & seen_BN[:, None, :] & (gap_BNN > _MARGIN)
                loss_B = _mean(F.softplus(guess_BN[:, None, :] - guess_BN[:, :, None]).flatten(1), counts_BNN.flatten(1))
                enough_B = counts_BNN.flatten(1).any(1)
            return loss_B.sum() / enough_B.sum().clamp(min=1)


def _mean(value_BX: torch.Tensor, counts_BX: torch.Tensor) -> torch.Tensor:
    return (value_BX * counts_BX).sum(1) / counts_BX.sum(1).clamp(min=1)


def _centred(value_BN: torch.Tensor, seen_BN: torch.Tensor) -> torch.Tensor:
    return value_BN - _mean(value_BN, seen_BN)[:, None]
