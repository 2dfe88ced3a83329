"""Symmetric InfoNCE between two views of the same places.

Axes: B rows of the batch, D entries of a descriptor.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from crossfix.errors import RunError

_MAX_LOG_SCALE = math.log(100.0)  # CLIP's clamp: temperatures under 0.01 make training diverge


class NotFiniteError(RunError):
    """A loss that is not finite.

    Args:
        what: as for `CrossfixError`.
        rows: of the batch, whose descriptors are not finite; empty where all are.
        mend: as for `CrossfixError`.
    """

    def __init__(self, what: str, rows: list[int], *, mend: str) -> None:
        super().__init__(what, mend=mend)
        self.rows = rows


class InfoNCE(nn.Module):
    """Cross entropy of each row finding its partner, in both directions, with a learnable temperature and label smoothing.

    Similarities, softmax and loss run in float32 even under autocast. Source: the loss of Sample4Geo (ICCV 2023), and CLIP's clamp of the
    scale at 100.

    Args:
        temperature: at the start; similarities are divided by it.
        label_smoothing: share of the target mass spread evenly over the partner and all negatives.
    """

    def __init__(self, temperature: float = 0.07, label_smoothing: float = 0.1) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
        self.label_smoothing = label_smoothing

    @property
    def temperature(self) -> float:
        """The temperature in effect."""
        return math.exp(min(700.0, -min(float(self.log_scale.detach()), _MAX_LOG_SCALE)))  # far off, in a run that diverges

    def forward(
        self,
        query_BD: torch.Tensor,
        gallery_BD: torch.Tensor,
        place_ids_B: torch.Tensor | None = None,
        neutral_BB: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The loss, a scalar.

        Args:
            query_BD: unit-norm descriptors of one view.
            gallery_BD: unit-norm descriptors of the other; row i belongs to row i.
            place_ids_B: integer id of each row's place; rows of the same place are not each other's negatives. None: all differ.
            neutral_BB: bool, whether gallery row j is neither right nor wrong for query i, and is left out both ways. None: none is.

        Raises:
            NotFiniteError: if the loss is not finite, naming the rows that hold NaN or infinite entries.
        """
        with torch.autocast(query_BD.device.type, enabled=False):
            wide = torch.promote_types(query_BD.dtype, torch.float32)
            with torch.no_grad():  # the parameter itself: clamping only its use would leave it without gradient above the bound
                self.log_scale.clamp_(max=_MAX_LOG_SCALE)
            logit_BB = self.log_scale.to(wide).exp() * query_BD.to(wide) @ gallery_BD.to(wide).T
            allowed_BB = self._allowed(logit_BB, place_ids_B, neutral_BB)
            loss = (self._one_way(logit_BB, allowed_BB) + self._one_way(logit_BB.T, allowed_BB.T)) / 2
        if not torch.isfinite(loss):
            rows = [i for i, ok in enumerate((query_BD.isfinite() & gallery_BD.isfinite()).all(1).tolist()) if not ok]
            detail = f"rows {rows} of the batch hold values that are not finite" if rows else f"temperature {self.temperature:.4g}"
            raise NotFiniteError(
                f"the contrastive loss is {loss.item()}: {detail}", rows, mend="lower the learning rate or train in bf16-mixed"
            )
        return loss

    @staticmethod
    def _allowed(logit_BB: torch.Tensor, place_ids_B: torch.Tensor | None, neutral_BB: torch.Tensor | None) -> torch.Tensor:
        """Which logits count: partners, and rows of other places that are not neutral."""
        allowed_BB = torch.ones_like(logit_BB, dtype=torch.bool) if place_ids_B is None else place_ids_B[:, None] != place_ids_B[None, :]
        if neutral_BB is not None:
            allowed_BB = allowed_BB & ~neutral_BB
        return allowed_BB | torch.eye(len(logit_BB), dtype=torch.bool, device=logit_BB.device)

    def _one_way(self, logit_BB: torch.Tensor, allowed_BB: torch.Tensor) -> torch.Tensor:
        log_BB = logit_BB.masked_fill(~allowed_BB, -torch.inf).log_softmax(1)
        smooth_B = log_BB.masked_fill(~allowed_BB, 0.0).sum(1) / allowed_BB.sum(1)
        return -((1 - self.label_smoothing) * log_BB.diagonal() + self.label_smoothing * smooth_B).mean()
