"""The contrastive loss of GeoLink's published code, with its slip, for comparison.

Axes: B rows of the batch, D entries of a descriptor.
"""

from __future__ import annotations

import torch

from crossfix.losses.contrastive import InfoNCE


class ReleasedInfoNCE(InfoNCE):
    """What GeoLink's released trainers compute where the symmetric loss is meant.

    There, logits from the query to the gallery are overwritten by logits among the queries, and the other way round in the second half:
    ½ [CE(q·q) + CE(g·q)] + ½ [CE(q·q) + CE(g·g)]. Only the direction from gallery to query is learnt between views; the rest pushes
    different rows of one view apart. For two equal inputs it is twice the symmetric loss. Which of both the paper's numbers were made with
    is not known. Use `InfoNCE` for everything but that comparison.
    """

    def forward(
        self,
        query_BD: torch.Tensor,
        gallery_BD: torch.Tensor,
        place_ids_B: torch.Tensor | None = None,
        neutral_BB: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The loss, a scalar; arguments and errors as those of `InfoNCE`."""
        own_query = super().forward(query_BD, query_BD, place_ids_B)
        own_gallery = super().forward(gallery_BD, gallery_BD, place_ids_B)
        with torch.autocast(query_BD.device.type, enabled=False):
            wide = torch.promote_types(query_BD.dtype, torch.float32)
            logit_BB = self.log_scale.to(wide).exp() * gallery_BD.to(wide) @ query_BD.to(wide).T
            across = self._one_way(logit_BB, self._allowed(logit_BB, place_ids_B, None if neutral_BB is None else neutral_BB.T))
        # A matrix of one view is symmetric, so its loss is the same in both directions and half of each sum is the loss itself.
        return (own_query + across) / 2 + (own_query + own_gallery) / 2
