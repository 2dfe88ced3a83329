"""Sample4Geo's checkpoints: timm's ConvNeXt, pooled, shared by both views, beside the loss's logit scale.

Source: Deuser, Habel and Oswald, "Sample4Geo: Hard Negative Sampling For Cross-View Geo-Localisation", ICCV 2023.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from crossfix.errors import ModelError
from crossfix.models.gengeo import ArchConfig
from crossfix.models.heads import MeanConfig
from crossfix.models.importers.naming import Source, count, named, shape
from crossfix.models.importers.plan import Plan, Tensors

_PX = 384
_STRIDE = 32
_STAGES = 4
_NETS = {  # depths, and width of the first stage, which doubles from stage to stage
    "convnext_tiny": ([3, 3, 9, 3], 96),
    "convnext_small": ([3, 3, 27, 3], 96),
    "convnext_base": ([3, 3, 27, 3], 128),
    "convnext_large": ([3, 3, 27, 3], 192),
    "convnext_xlarge": ([3, 3, 27, 3], 256),
}


def recognises(names: Collection[str]) -> bool:
    """Whether names are those of a Sample4Geo checkpoint of a ConvNeXt."""
    return {"model.stem.0.weight", "model.head.norm.weight"} <= {*names}


def plan(tensors: Tensors, px: int | None, head: str | None) -> Plan:
    """The published model, its sizes told from the tensors; any input size.

    Raises:
        ModelError: if sizes cannot be told from the tensors, or a head is asked for.
    """
    if head:
        raise ModelError("Sample4Geo's checkpoints bring their own pooling", where="--head", mend="leave it away")
    depths = [count(tensors, f"model.stages.{stage}.blocks.") for stage in range(_STAGES)]
    dims = [shape(tensors, f"model.stages.{stage}.blocks.0.conv_dw.weight", 4)[0] for stage in range(_STAGES)]
    name, kwargs = _net(depths, dims)
    architecture = ArchConfig(name, px or _PX, MeanConfig(norm=True), stride=_STRIDE, timm_kwargs=kwargs)
    return Plan(f"ConvNeXt of {dims[-1]} features", architecture, _source, ("logit_scale",))


def _net(depths: list[int], dims: list[int]) -> tuple[str, dict[str, Any]]:
    for name, (timms, width) in _NETS.items():
        if depths == timms and dims == [width << stage for stage in range(_STAGES)]:
            return name, {}
    return "convnext_base", {"depths": depths, "dims": dims}


def _source(ours: str) -> Source | None:
    if ours.startswith("head."):
        return named(f"model.{ours}")
    # A timm network cut at a stride counts its stages with an underscore.
    return named(re.sub(r"^encoder\.net\.(stem|stages)_", r"model.\1.", ours))
