"""Any encoder of timm as a model: its own weights from the hub, or weights on disk, behind a mean of the tokens."""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import timm
import torch
from safetensors import SafetensorError, safe_open
from timm.models.vision_transformer import VisionTransformer

from crossfix.errors import ModelError
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.gengeo import ArchConfig, GenGeo, MeanConfig, build

UNKNOWN_LICENCE = "LicenseRef-unknown"
_LICENCES = {"apache-2.0": "Apache-2.0", "mit": "MIT", "cc-by-nc-4.0": "CC-BY-NC-4.0", "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0"}
_PX = 224
_STRIDE = 16
_SHOWN = 3


def is_known(name: str) -> bool:
    """Whether timm has an architecture of this name, with or without its weights' tag."""
    return bool(timm.is_model(name.split(".")[0]))


def nearest(name: str, others: Sequence[str] = ()) -> str:
    """The name most like this one among timm's architectures and others."""
    return difflib.get_close_matches(name, [*others, *timm.list_models()], n=1, cutoff=0.0)[0]


def open_encoder(
    name: str,
    *,
    weights: str | Path | None = None,
    px: int | None = None,
    stride: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> tuple[GenGeo, ModelCard]:
    """An encoder of timm with the mean of its tokens as descriptor: what a head is fitted or trained behind.

    Args:
        name: timm name, with or without its weights' tag.
        weights: safetensors file under timm's own tensor names, with or without a classifier; None: timm's, from the hub or its cache.
        px: side of the square input; None: 224, or what patches allow next to it.
        stride: pixels a token at which a convolutional network is cut; None: 16, a grid that still shows where things are (the last map,
            of stride 32, leaves 16 tokens of a picture of 128 pixels). Without meaning for transformers.
        settings: further arguments of `timm.create_model` (`pad_type="same"`), and `mean` and `std` of its pictures, each one number or
            three, where they are not those that timm notes for the name.

    Raises:
        ModelError: for an unknown name, settings or a size it cannot take, weights that are another architecture's, or none to be had.
    """
    kwargs = dict(settings or {})
    if not is_known(name):
        mend = "list them with timm.list_models()"
        raise ModelError(f"timm has no such architecture; did you mean {nearest(name)}?", where=name, mend=mend)
    try:
        config: Any = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        known = ", ".join(timm.list_pretrained(f"{name.split('.')[0]}.*")[:_SHOWN])
        raise ModelError("timm has no weights of this tag", where=name, mend=f"use {known or 'another encoder'}") from error
    mean, std = (_three(kwargs.pop(key, getattr(config, key)), key, name) for key in ("mean", "std"))
    asked = ArchConfig(name, px or _PX, MeanConfig(), stride, kwargs)  # refuses settings that are not a user's to give
    outline = _outline(name, kwargs)
    if isinstance(outline, VisionTransformer):
        if stride is not None:
            raise ModelError("a transformer has no stride to choose: its patches decide", where=name, mend="leave out the stride")
        patch = int(cast(Any, outline.patch_embed).patch_size[0])
        architecture = replace(asked, px=px or max(patch, round(_PX / patch) * patch))
    else:
        architecture = replace(asked, stride=stride or _STRIDE)
    if weights is not None:
        weights = Path(weights)
        _check(weights, outline, name)
    with _quiet():
        model = build(architecture, pretrained=True if weights is None else weights).eval()
    source = "timm's weights" if weights is None else f"weights of {weights.name}"
    card = ModelCard(
        name=name,
        architecture=architecture,
        preprocessing=Preprocessing(architecture.px, mean, std),
        description=f"{name} of timm with {source}; the mean of its tokens",
        recipe={} if weights is None else {"encoder": {"file": weights.name, "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}},
        query_turns=4,  # nothing is known of how its tokens bear a turned picture
        licence=UNKNOWN_LICENCE if weights is not None else _LICENCES.get(str(config.license).lower(), UNKNOWN_LICENCE),
    )
    return model, card


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps timm from warning of tensors that a cut network does not need."""
    logger = logging.getLogger("timm.models._builder")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _three(values: Any, key: str, name: str) -> tuple[float, float, float]:  # noqa: ANN401 - what a user wrote
    try:
        found = [float(values)] * 3 if isinstance(values, int | float) else [float(value) for value in values]
        red, green, blue = found
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{json.dumps(values, default=str)} is no {key} of red, green and blue", where=name, mend="give one number or three"
        ) from error
    return red, green, blue


def _outline(name: str, kwargs: Mapping[str, Any]) -> torch.nn.Module:
    """The whole network without numbers: names and shapes of its tensors."""
    try:
        with torch.device("meta"):
            return timm.create_model(name, pretrained=False, **kwargs)
    except (TypeError, ValueError, RuntimeError, AssertionError, KeyError) as error:
        raise ModelError(f"cannot be built ({error})", where=name, mend="correct the settings given for timm") from error


def _check(file: Path, outline: torch.nn.Module, name: str) -> None:
    """Refuses a file whose tensors are not the network's: timm itself would leave what is missing at random numbers."""
    try:
        with safe_open(file, "pt") as opened:
            held = {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118 - it is no dict
    except (OSError, SafetensorError) as error:
        raise ModelError(
            "no safetensors file that can be read", where=file, mend="give weights as safetensors, or see crossfix model import"
        ) from error
    classifiers = getattr(outline, "pretrained_cfg", {}).get("classifier") or ()
    heads = tuple(f"{head}." for head in ([classifiers] if isinstance(classifiers, str) else classifiers))
    wanted = {key: tuple(tensor.shape) for key, tensor in outline.state_dict().items() if not key.endswith("num_batches_tracked")}
    wanted = {key: shape for key, shape in wanted.items() if not key.startswith(heads or "\0")}
    rest = {key: shape for key, shape in held.items() if not key.startswith(heads or "\0") and not key.endswith("num_batches_tracked")}
    for what, keys in (
        ("lack", sorted(set(wanted) - set(rest))),
        ("hold unknown", sorted(set(rest) - set(wanted))),
        ("have other sizes of", sorted(key for key in wanted if rest.get(key, wanted[key]) != wanted[key])),
    ):
        if keys:
            shown = ", ".join(keys[:_SHOWN]) + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")
            raise ModelError(f"not weights of {name}: they {what} {shown}", where=file, mend="name the architecture they are of")
