"""A recipe made smaller or otherwise changed from the command line, so that it runs on a laptop."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from crossfix.errors import InputError
from crossfix.train.config import SetData, TrainConfig

_CONV_MULTIPLE = 16


def overridden(
    config: TrainConfig,
    *,
    steps: int | None = None,
    batch: int | None = None,
    cached: int | None = None,
    px: int | None = None,
    encoder: str | None = None,
    pretrained: bool | None = None,
    held_out: int | None = None,
    seed: int | None = None,
) -> TrainConfig:
    """A config with some entries changed, and what hangs on them.

    Args:
        config: the recipe's.
        steps: optimiser steps in place of the recipe's steps or epochs.
        batch: pairs of a micro-batch.
        cached: pairs whose activations are kept at a time.
        px: side of the satellite pictures; panoramas and drone pictures shrink or grow with it, to whole patches.
        encoder: timm name, of convolutional networks with the stride behind a slash (``resnet18/16``). It begins with random numbers, and
            all of it is trained, unless ``pretrained`` is true.
        pretrained: whether the encoder begins with published weights. Where it does not, all of it is trained.
        held_out: places kept for validation.
        seed: of the run.

    Raises:
        InputError: for an encoder written wrongly, or entries that make no sense together.
    """
    changed: dict[str, Any] = {"batch": batch, "cached": cached, "held_out": held_out, "seed": seed, "pretrained": pretrained}
    if steps is not None:
        changed |= {"steps": steps, "epochs": 0}
    arch = config.arch
    if encoder is not None:
        name, _, stride = encoder.partition("/")
        if stride and not stride.isdecimal():
            raise InputError("is not written NAME or NAME/STRIDE", where=encoder, mend="write it like resnet18/16")
        # What recipes ask of a transformer, such as no final norm, holds of any other, and of no convolutional network.
        arch = dataclasses.replace(
            arch, encoder=name, stride=int(stride) if stride else None, timm_kwargs={} if stride else arch.timm_kwargs
        )
        changed["pretrained"] = bool(pretrained)
    if changed["pretrained"] is False:
        arch = dataclasses.replace(arch, trainable_blocks=None)  # frozen random numbers would teach nothing
    if px is not None:
        share, patch = px / arch.px, _patch(arch.encoder)
        if isinstance(config.data, SetData):
            height, width = (max(patch, round(side * share / patch) * patch) for side in config.data.query_hw)
            changed["data"] = dataclasses.replace(config.data, satellite_px=px, query_hw=(height, width))
        arch = dataclasses.replace(arch, px=px)
    return dataclasses.replace(config, arch=arch, **{name: value for name, value in changed.items() if value is not None})


def _patch(encoder: str) -> int:
    """Side of a patch as a transformer's name tells it."""
    found = re.search(r"patch(\d+)", encoder)
    return int(found[1]) if found else _CONV_MULTIPLE
