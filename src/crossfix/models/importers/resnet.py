"""ResNets as torchvision names them, and as place-recognition projects rename them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crossfix.errors import ModelError
from crossfix.models.importers.naming import Source, Sources, count
from crossfix.models.importers.plan import Tensors

_BOTTLENECKS = {(3, 4, 6): "resnet50", (3, 4, 23): "resnet101", (3, 8, 36): "resnet152"}
_BASIC = {(2, 2, 2): "resnet18", (3, 4, 6): "resnet34"}
_OURS = "encoder.net."


@dataclass(frozen=True)
class Resnet:
    """A ResNet found in a checkpoint.

    Attributes:
        timm_name: of the encoder it becomes; timm's names of tensors are torchvision's.
        stride: 16 where its last stage was left out, otherwise 32.
        sources: from our names (`encoder.net. ...`) to the file's.
    """

    timm_name: str
    stride: int
    sources: Sources


def find_resnet(tensors: Tensors, theirs: Callable[[str], str]) -> Resnet:
    """The ResNet in a checkpoint, its sizes told from the tensors.

    Args:
        tensors: all of the file.
        theirs: the file's name for one of torchvision's, or for the beginning of one.

    Raises:
        ModelError: if there is none, or none of the published depths.
    """
    depths = tuple(count(tensors, theirs(f"layer{layer}.")) for layer in (1, 2, 3))
    known = _BOTTLENECKS if theirs("layer1.0.conv3.weight") in tensors else _BASIC
    if depths not in known:
        raise ModelError(f"its backbone is no ResNet that we know (layers of {', '.join(map(str, depths))} blocks)")

    def sources(ours: str) -> Source:
        name = theirs(ours.removeprefix(_OURS))
        return Source((name,), else_zero=name.endswith("num_batches_tracked"))  # old files lack this count, which only training reads

    return Resnet(known[depths], 32 if theirs("layer4.0.conv1.weight") in tensors else 16, sources)
