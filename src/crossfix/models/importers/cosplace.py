"""CosPlace and EigenPlaces: a ResNet, GeM over unit tokens, a linear layer; any input size.

Sources: Berton, Masone and Caputo, "Rethinking Visual Geo-localization for Large-Scale Applications", CVPR 2022; Berton, Trivigno, Caputo
and Masone, "EigenPlaces", ICCV 2023. Their files name a ResNet's children by position, and do not tell one project from the other.
"""

from __future__ import annotations

from collections.abc import Collection

from crossfix.errors import ModelError
from crossfix.models.gengeo import ArchConfig
from crossfix.models.heads import GemConfig
from crossfix.models.importers.naming import Source, named, shape
from crossfix.models.importers.plan import Plan, Tensors
from crossfix.models.importers.resnet import find_resnet

_PX = 512  # both train at it
_CHILDREN = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}  # 2 and 3 are the ReLU and the pooling
_PROJECT = "aggregation.3."


def recognises(names: Collection[str]) -> bool:
    """Whether names are those of a CosPlace or EigenPlaces checkpoint."""
    return {"aggregation.1.p", "backbone.0.weight"} <= {*names}


def plan(tensors: Tensors, px: int | None, head: str | None) -> Plan:
    """The published model, its sizes told from the tensors.

    Raises:
        ModelError: if sizes cannot be told from the tensors (those of a VGG-16 cannot), or a head is asked for.
    """
    if head:
        raise ModelError("CosPlace's checkpoints bring their own head", where="--head", mend="leave it away")
    entries, _ = shape(tensors, f"{_PROJECT}weight", 2)
    encoder = find_resnet(tensors, _foreign)

    def sources(ours: str) -> Source | None:
        if ours == "head.p":
            return Source(("aggregation.1.p",), lambda p: p.squeeze())
        if ours.startswith("head.project."):
            return named(_PROJECT + ours.removeprefix("head.project."))
        return encoder.sources(ours)

    architecture = ArchConfig(encoder.timm_name, px or _PX, GemConfig(dim=entries, unit=True), stride=encoder.stride)
    return Plan(f"{encoder.timm_name} and {entries} entries", architecture, sources)


def _foreign(name: str) -> str:
    child, dot, rest = name.partition(".")
    return f"backbone.{_CHILDREN.get(child, child)}{dot}{rest}"
