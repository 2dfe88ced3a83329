"""Model and loss as one module: both views of a micro-batch to one number.

Axes: B pairs, N tokens, C channels, D entries of a descriptor, G panoramas.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from crossfix.losses.contrastive import InfoNCE
from crossfix.losses.correspondence import Correspondence
from crossfix.models.encoder import TokenEncoder
from crossfix.models.gengeo import GenGeo, Seen, ViewKind
from crossfix.train.gather import gather
from crossfix.train.gradcache import gradcache_step
from crossfix.train.prepare import Points, Prepared


class Siamese(nn.Module):
    """Model and loss as one module, so that Fabric sets up precision for both.

    Args:
        model: describes both views.
        loss: of descriptors.
        tokens: loss of tokens; None leaves it out.
        tokens_weight: its weight.
        ground: loss of panoramas' descriptors against satellite pictures', where batches have panoramas beside drone pictures.
        ground_weight: its weight.
        ground_alone: all but the encoder of pictures from the ground stays as it is, see `GroundViews.alone`.
    """

    def __init__(
        self,
        model: GenGeo,
        loss: InfoNCE,
        tokens: Correspondence | None,
        tokens_weight: float,
        ground: InfoNCE | None = None,
        ground_weight: float = 1.0,
        ground_alone: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.tokens = tokens
        self.tokens_weight = tokens_weight
        self.ground = ground
        self.ground_weight = ground_weight
        self.ground_alone = ground_alone
        if ground_alone and model.ground_encoder is not None:
            model.requires_grad_(False)
            model.ground_encoder.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Siamese:
        """Switch to training mode, all but what stays as it is, whose batch norms must not move."""
        super().train(mode)
        if self.ground_alone and self.model.ground_encoder is not None:
            self.model.eval()
            self.model.ground_encoder.train(mode)
        return self

    @property
    def temperature(self) -> float:
        """The contrastive loss's temperature in effect."""
        return self.loss.temperature

    def forward(self, batch: Prepared) -> torch.Tensor:
        """The loss."""
        if self.ground_alone:
            return self._ground_loss(batch)
        views: dict[ViewKind, torch.Tensor] = {"satellite": batch.satellite_BCHW, "query": batch.query_BCHW}
        seen = self.model.see(views if batch.ground_GCHW is None else views | {"ground": batch.ground_GCHW})
        satellite, query = seen["satellite"], seen["query"]
        loss = self.compare(batch, query.desc_BD, satellite.desc_BD)
        if self.ground is not None and "ground" in seen:
            row_G = batch.ground_row_G
            loss = loss + self.ground_weight * self.ground(seen["ground"].desc_BD, satellite.desc_BD[row_G], batch.place_J[row_G])
        loss = loss + self._matched(batch.points, query, satellite)
        if "ground" in seen:
            loss = loss + self._matched(batch.ground_points, seen["ground"], satellite, batch.ground_row_G)
        return loss

    def _matched(self, points: Points | None, query: Seen, satellite: Seen, row_G: torch.Tensor | None = None) -> torch.Tensor:
        """The weighted loss of tokens that show the same points; 0 where none are known."""
        if self.tokens is None or points is None:
            return satellite.desc_BD.new_zeros(())
        satellite_BNC = satellite.tok_BNC if row_G is None else satellite.tok_BNC[row_G]
        term: torch.Tensor = self.tokens(query.tok_BNC, satellite_BNC, points.query_BT2, points.satellite_BT2, points.seen_BT)
        return self.tokens_weight * term

    def _ground_loss(self, batch: Prepared) -> torch.Tensor:
        """The loss of panoramas alone, against satellite pictures whose descriptors and tokens nothing moves; 0 for a batch without any."""
        if self.ground is None or batch.ground_GCHW is None:
            return torch.zeros((), device=batch.satellite_BCHW.device, requires_grad=True)
        row_G = batch.ground_row_G
        with torch.no_grad():
            satellite = self.model.see({"satellite": batch.satellite_BCHW[row_G]})["satellite"]
        ground = self.model.see({"ground": batch.ground_GCHW})["ground"]
        loss: torch.Tensor = self.ground(ground.desc_BD, satellite.desc_BD, batch.place_J[row_G])
        return loss + self._matched(batch.ground_points, ground, satellite)

    def compare(self, batch: Prepared, query_BD: torch.Tensor, satellite_BD: torch.Tensor) -> torch.Tensor:
        """The loss of a micro-batch's descriptors, of all processes together."""
        loss: torch.Tensor = self.loss(gather(query_BD), gather(satellite_BD), batch.place_J, batch.neutral_JJ)
        return loss

    def backward_cached(self, batch: Prepared, pairs: int, backward: Callable[[torch.Tensor], Any]) -> torch.Tensor:
        """Loss and gradients of a micro-batch, with the activations of some of its pairs at a time; see `gradcache`.

        Args:
            batch: the micro-batch.
            pairs: whose activations are kept at a time.
            backward: called with scalars in place of ``Tensor.backward``.

        Returns:
            The loss, detached.

        Raises:
            ModelError: where the network normalises over its batch.
        """
        encode = [partial(self.model, kind="query"), partial(self.model, kind="satellite")]
        return gradcache_step(encode, partial(self.compare, batch), [batch.query_BCHW, batch.satellite_BCHW], pairs, backward)


def recompute_(encoder: TokenEncoder) -> None:
    """Keep no activations inside an encoder's blocks: the backward pass computes them again."""
    if not encoder.is_transformer:
        encoder.net.set_grad_checkpointing(True)
        return
    for block in encoder.net.blocks:
        if any(parameter.requires_grad for parameter in block.parameters()):
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
