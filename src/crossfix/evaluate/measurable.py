"""What can be measured: models, and the baselines that stand in a model's place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from crossfix.evaluate.baselines import BASELINES
from crossfix.evaluate.imagenet import PREFIX, MobileNetGem
from crossfix.models.registry import load

Describe = Callable[[list[npt.NDArray[np.uint8]]], npt.NDArray[np.float32]]


class Measurable(Protocol):
    """A `models.describe.Describer` or a baseline.

    ``describe`` gives gallery images one descriptor each, (B, D); ``describe_query`` gives queries of unknown heading as many as the method
    needs, (B, R, D), of which the best one counts for each gallery image.
    """

    @property
    def model_id(self) -> str: ...  # noqa: D102
    @property
    def sha256(self) -> str: ...  # noqa: D102
    @property
    def dim(self) -> int: ...  # noqa: D102
    def describe(self, images: list[npt.NDArray[np.uint8]], /) -> npt.NDArray[np.float32]: ...  # noqa: D102
    def describe_query(self, images: list[npt.NDArray[np.uint8]], /) -> npt.NDArray[np.float32]: ...  # noqa: D102


def open_measurable(name: str) -> Measurable:
    """A model by its name or folder, a baseline: ``colour-histogram``, ``rotated-hog``, or ``mobilenetv2:FILE`` with its ImageNet weights.

    Raises:
        ModelError: where there is no such model.
    """
    if name.startswith(PREFIX):
        return MobileNetGem(Path(name.removeprefix(PREFIX)).expanduser())
    return BASELINES[name]() if name in BASELINES else load(name)
