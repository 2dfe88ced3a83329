"""MixVPR behind a ResNet (its own release) or behind DINOv2 (CV-Cities, DINO-Mix), as plain state dicts.

Sources: Ali-bey, Chaib-draa and Giguère, WACV 2023 (names `backbone.model.*` as torchvision's, `aggregator.*`); CV-Cities, whose encoder
goes by `model.backbone.dino_model.*` and has lost its final norm, beside the loss's logit scale; DINO-Mix, the same without `model.`.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from crossfix.errors import ModelError
from crossfix.models.gengeo import ArchConfig
from crossfix.models.heads import MixVprConfig
from crossfix.models.importers.dinov2 import find_encoder
from crossfix.models.importers.naming import Source, Sources, count, shape
from crossfix.models.importers.plan import Plan, Tensors
from crossfix.models.importers.resnet import find_resnet

_RESNET = "backbone.model."
_DINO = "backbone.dino_model."
_CVCITIES = ("model.", "")
_HEAD = {
    "head.mixers.": "aggregator.mix.",
    "head.channel.": "aggregator.channel_proj.",
    "head.row.": "aggregator.row_proj.",
}


def recognises(names: Collection[str]) -> bool:
    """Whether names are those of MixVPR behind a ResNet."""
    return {f"{_RESNET}conv1.weight", "aggregator.channel_proj.weight"} <= {*names}


def recognises_cvcities(names: Collection[str]) -> bool:
    """Whether names are those of MixVPR behind DINOv2."""
    return any(f"{prefix}{_DINO}cls_token" in names for prefix in _CVCITIES)


def plan(tensors: Tensors, px: int | None, head: str | None) -> Plan:
    """MixVPR behind a ResNet of torchvision's names; the mixers fix the input size.

    Raises:
        ModelError: if sizes cannot be told from the tensors, or another input size or a head is asked for.
    """
    config, side = _head(tensors, "", head)
    encoder = find_resnet(tensors, lambda name: _RESNET + name)
    architecture = ArchConfig(encoder.timm_name, _px(side * encoder.stride, px), config, stride=encoder.stride)
    return Plan(f"{encoder.timm_name} and {config.channels * config.rows} entries", architecture, _with_head("", encoder.sources))


def plan_cvcities(tensors: Tensors, px: int | None, head: str | None) -> Plan:
    """MixVPR behind DINOv2; the mixers fix the input size.

    Raises:
        ModelError: if sizes cannot be told from the tensors, or another input size or a head is asked for.
    """
    prefix = next((prefix for prefix in _CVCITIES if f"{prefix}{_DINO}cls_token" in tensors), "")
    config, side = _head(tensors, prefix, head)
    encoder = find_encoder(tensors, prefix + _DINO, may_lack_norm=True)
    architecture = ArchConfig(encoder.timm_name, _px(side * encoder.patch, px), config, timm_kwargs=encoder.timm_kwargs)
    form = f"{config.channels * config.rows} entries, {side} x {side} tokens"
    return Plan(form, architecture, _with_head(prefix, encoder.sources), (*encoder.unneeded, "logit_scale"))


def _with_head(prefix: str, encoder: Sources) -> Sources:
    def sources(ours: str) -> Source | None:
        for mine, theirs in _HEAD.items():
            if ours.startswith(mine):
                rest = ours.removeprefix(mine)
                if mine == "head.mixers.":  # a mixer's layers are a module of their own there
                    rest = rest.replace(".", ".mix.", 1)
                return Source((prefix + theirs + rest,), else_zero=ours == "head.row.bias")  # some versions have none
        return encoder(ours)

    return sources


def _head(tensors: Tensors, prefix: str, head: str | None) -> tuple[MixVprConfig, int]:
    """The head, and how many tokens a side of its square map has."""
    if head:
        raise ModelError("MixVPR's checkpoints bring their own head", where="--head", mend="leave it away")
    rows, tokens = shape(tensors, f"{prefix}aggregator.row_proj.weight", 2)
    side = math.isqrt(tokens)
    if side * side != tokens:
        raise ModelError(f"its mixers are made for {tokens} tokens, which are no square map")
    depth = count(tensors, f"{prefix}aggregator.mix.")
    hidden = shape(tensors, f"{prefix}aggregator.mix.0.mix.1.weight", 2)[0] if depth else tokens
    ratio = 1.0 if hidden == tokens else (hidden + 0.5) / tokens  # our head rounds tokens times ratio down
    return MixVprConfig(shape(tensors, f"{prefix}aggregator.channel_proj.weight", 2)[0], rows, depth, ratio), side


def _px(own: int, wanted: int | None) -> int:
    if wanted not in (None, own):
        raise ModelError(f"its mixers are made for pictures of {own} px", where=f"--px {wanted}", mend="leave --px away")
    return own
