"""The models that have names."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from crossfix.errors import ModelError
from crossfix.models import timm_encoder
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.describe import Describer, Precision
from crossfix.models.folder import CARD, WEIGHTS, load_card, load_model
from crossfix.models.gengeo import ArchConfig, GenGeo, SaladConfig, build

_BUNDLED = Path(__file__).parent / "weights"
_HUB_PX = 322  # SALAD trains at 224 and describes at 322


class UntrainedHeadWarning(UserWarning):
    """The model's head holds random numbers."""


@dataclass(frozen=True)
class ModelInfo:
    """A line of `crossfix model list`.

    Attributes:
        name: what `load` takes.
        description: one sentence.
        weights: where they come from.
        licence: of the weights (SPDX).
        dim: entries of a descriptor; None while the package lacks the model.
        px: side of the square input; None likewise.
        size_mb: of the weights as stored, in 10^6 bytes; None likewise.
    """

    name: str
    description: str
    weights: Literal["bundled", "hub"]
    licence: str
    dim: int | None
    px: int | None
    size_mb: float | None


@dataclass(frozen=True)
class _Hub:
    description: str
    encoder: str
    size_mb: float


_HUB = {
    "gengeo-small": _Hub("DINOv2 ViT-S/14 with a SALAD head; the head is untrained", "vit_small_patch14_dinov2.lvd142m", 88.2),
    "gengeo-base": _Hub(
        "DINOv2 ViT-B/14 with a SALAD head, GenGeo's own size; the head is untrained", "vit_base_patch14_dinov2.lvd142m", 346.3
    ),
}
_TINY = "gengeo-tiny"
_TINY_DESCRIPTION = "small enough for every machine, trained on procedural worlds"


def list_models() -> list[ModelInfo]:
    """All named models, smallest first."""
    hub = [
        ModelInfo(name, entry.description, "hub", "Apache-2.0", SaladConfig().out_dim, _HUB_PX, entry.size_mb)
        for name, entry in _HUB.items()
    ]
    return [_tiny_info(), *hub]


def open_model(name_or_folder: str | Path) -> tuple[GenGeo, ModelCard]:
    """The network and card of a named model or a model folder, on the CPU in evaluation mode.

    Raises:
        ModelError: if there is no such model, it is damaged, or its weights cannot be fetched.

    Warns:
        UntrainedHeadWarning: if its head is untrained.
    """
    name = str(name_or_folder)
    if name in _HUB:
        model, card = _from_hub(name)
    elif name == _TINY:
        if not (_BUNDLED / name / CARD).is_file():
            raise ModelError("this installation lacks the bundled model", where=name, mend="install the crossfix package again")
        model, card = load_model(_BUNDLED / name)
    elif name and Path(name_or_folder).is_dir():
        model, card = load_model(name_or_folder)
    else:
        raise _unknown(name)
    if not card.head_trained:
        warnings.warn(
            f"the head of {card.name} is untrained (random numbers behind a published encoder): its descriptors are a starting point for "
            "training, not a model to locate with",
            UntrainedHeadWarning,
            stacklevel=2,
        )
    return model, card


def load(name_or_folder: str | Path, device: str | torch.device = "cpu", *, precision: Precision = "auto") -> Describer:
    """A describer of a named model or a model folder.

    Args:
        name_or_folder: a name of `list_models`, or a folder written by `save_model`.
        device: a torch device.
        precision: see `Describer`.

    Raises:
        ModelError: if there is no such model, it is damaged, its weights cannot be fetched, or the device is not usable.

    Warns:
        UntrainedHeadWarning: if its head is untrained.
    """
    return Describer(*open_model(name_or_folder), device=device, precision=precision)


def open_encoder(
    name_or_folder: str | Path,
    *,
    weights: str | Path | None = None,
    px: int | None = None,
    stride: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> tuple[GenGeo, ModelCard]:
    """An encoder to fit a head behind: that of a named model or a model folder, whatever its own head, or any of timm.

    Args:
        name_or_folder: a name of `list_models`, a model folder, or a name of timm.
        weights: of an encoder of timm, see `timm_encoder.open_encoder`; likewise the others.
        px: side of the square input.
        stride: pixels a token.
        settings: further settings.

    Raises:
        ModelError: if there is no such model or encoder, it is damaged, its weights cannot be fetched or are another architecture's, or
            anything but the name is given for a model of ours.
    """
    name = str(name_or_folder)
    if timm_encoder.is_known(name) and not (Path(name) / CARD).is_file():
        return timm_encoder.open_encoder(name, weights=weights, px=px, stride=stride, settings=settings)
    if name not in (_TINY, *_HUB) and not (name and Path(name).is_dir()):
        raise ModelError(
            f"no model, no model folder and no encoder of timm; did you mean {timm_encoder.nearest(name, [_TINY, *_HUB])}?",
            where=name,
            mend="list models with crossfix model list and timm's with timm.list_models()",
        )
    if weights is not None or px is not None or stride is not None or settings:
        raise ModelError(
            "is a whole model: its weights, input and settings are its own", where=name, mend="give the name alone, or an encoder of timm"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UntrainedHeadWarning)  # its head is not used
        return open_model(name_or_folder)


def info(name_or_folder: str | Path) -> ModelCard:
    """The card of a named model or a model folder, without loading or fetching weights.

    Raises:
        ModelError: if there is no such model or its card is damaged.
    """
    name = str(name_or_folder)
    if name in _HUB:
        return _hub_card(name)
    if name == _TINY and (_BUNDLED / name / CARD).is_file():
        return load_card(_BUNDLED / name)
    if name == _TINY:
        raise ModelError("this installation lacks the bundled model", where=name, mend="install the crossfix package again")
    if name and Path(name_or_folder).is_dir():
        return load_card(name_or_folder)
    raise _unknown(name)


def _tiny_info() -> ModelInfo:
    folder = _BUNDLED / _TINY
    if not (folder / CARD).is_file():
        return ModelInfo(_TINY, f"{_TINY_DESCRIPTION}; missing from this installation", "bundled", "Apache-2.0", None, None, None)
    card = load_card(folder)
    size_mb = round((folder / WEIGHTS).stat().st_size / 1e6, 1)
    dim = build(card.architecture).dim
    return ModelInfo(_TINY, card.description or _TINY_DESCRIPTION, "bundled", card.licence, dim, card.preprocessing.px, size_mb)


def _hub_card(name: str) -> ModelCard:
    entry = _HUB[name]
    return ModelCard(
        name=name,
        architecture=ArchConfig(entry.encoder, _HUB_PX, SaladConfig()),
        preprocessing=Preprocessing(_HUB_PX),
        description=entry.description,
        training_data="encoder: LVD-142M (DINOv2, Meta AI); head: none",
        seed=0,
        head_trained=False,
    )


def _from_hub(name: str) -> tuple[GenGeo, ModelCard]:
    card = _hub_card(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # an untrained head that is at least the same everywhere
        return build(card.architecture, pretrained=True).eval(), card


def _unknown(name: str) -> ModelError:
    names = [_TINY, *_HUB]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
    return ModelError(
        f"no model and no folder of this name; did you mean {near}?",
        where=name,
        mend=f"choose one of {', '.join(names)}, or a model folder",
    )
