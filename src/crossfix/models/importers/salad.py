"""SALAD's own checkpoints (`dino_salad` and its small versions): a DINOv2 of the hub's names and the SALAD head.

Source: Izquierdo and Civera, CVPR 2024, release v1.0.0. Perceptrons over tokens are 1 x 1 convolutions there and linear layers here.
"""

from __future__ import annotations

from collections.abc import Collection

import torch

from crossfix.errors import ModelError
from crossfix.models.gengeo import ArchConfig
from crossfix.models.heads import SaladConfig
from crossfix.models.importers.dinov2 import find_encoder
from crossfix.models.importers.naming import Source, named, shape
from crossfix.models.importers.plan import Plan, Tensors

_BACKBONE = "backbone.model."
_PERCEPTRONS = {"head.score.": "aggregator.score.", "head.feature.": "aggregator.cluster_features."}
_TOKEN = {"head.token.": "aggregator.token_features."}


def recognises(names: Collection[str]) -> bool:
    """Whether names are those of a SALAD checkpoint."""
    return "aggregator.dust_bin" in names or any(name.startswith("aggregator.cluster_features.") for name in names)


def plan(tensors: Tensors, px: int | None, head: str | None) -> Plan:
    """The published model, its sizes told from the tensors; any input size.

    Raises:
        ModelError: if sizes cannot be told from the tensors, or a head is asked for.
    """
    if head:
        raise ModelError("SALAD checkpoints bring their own head", where="--head", mend="leave it away")
    hidden, _, _, _ = shape(tensors, "aggregator.score.0.weight", 4)
    config = SaladConfig(
        clusters=shape(tensors, "aggregator.score.3.weight", 4)[0],
        cluster_dim=shape(tensors, "aggregator.cluster_features.3.weight", 4)[0],
        token_dim=shape(tensors, "aggregator.token_features.2.weight", 2)[0],
        hidden=hidden,
        dustbin="fixed",
        cluster_weight="equal",
    )
    encoder = find_encoder(tensors, _BACKBONE)

    def sources(ours: str) -> Source | None:
        if ours == "head.dustbin":
            return named("aggregator.dust_bin")
        for mine, theirs in (_PERCEPTRONS | _TOKEN).items():
            if ours.startswith(mine):
                name = theirs + ours.removeprefix(mine)
                return Source((name,), _matrix) if mine in _PERCEPTRONS and name.endswith("weight") else named(name)
        return encoder.sources(ours)

    architecture = ArchConfig(encoder.timm_name, encoder.px(px), config, timm_kwargs=encoder.timm_kwargs)
    form = f"{config.out_dim} entries: {config.clusters} clusters of {config.cluster_dim} and {config.token_dim} of the class token"
    return Plan(form, architecture, sources, encoder.unneeded)


def _matrix(kernel_OI11: torch.Tensor) -> torch.Tensor:
    """A 1 x 1 convolution's kernel as a linear layer's weight; larger kernels keep their shape, and so are refused."""
    return kernel_OI11.flatten(1) if kernel_OI11.shape[2:] == (1, 1) else kernel_OI11
