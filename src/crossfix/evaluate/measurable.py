"""What can be measured: models, and the baselines that stand in a model's place."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from crossfix.evaluate.baselines import BASELINES
from crossfix.evaluate.imagenet import PREFIX, MobileNetGem
from crossfix.models.describe import Kind
from crossfix.models.registry import load

Floats = npt.NDArray[np.float32]


class Describe(Protocol):
    """From pictures, all of one kind where it is given, to their descriptors."""

    def __call__(self, images: list[npt.NDArray[np.uint8]], /, *, kind: Kind = ..., fov_deg: float = ...) -> Floats: ...  # noqa: D102


class Measurable(Protocol):
    """A `models.describe.Describer` or a baseline.

    ``describe`` gives gallery images one descriptor each, (B, D); ``describe_query`` gives queries of unknown heading as many as the method
    needs, (B, R, D), of which the best one counts for each gallery image. Both are told the kind of the images where it is known:
    models of panoramas take pictures from the ground at another size, and where these show less than the whole horizon, at a narrower one.
    """

    @property
    def model_id(self) -> str: ...  # noqa: D102
    @property
    def sha256(self) -> str: ...  # noqa: D102
    @property
    def dim(self) -> int: ...  # noqa: D102
    def describe(self, images: list[npt.NDArray[np.uint8]], /, *, kind: Kind = ..., fov_deg: float = ...) -> Floats: ...  # noqa: D102
    def describe_query(self, images: list[npt.NDArray[np.uint8]], /, *, kind: Kind = ..., fov_deg: float = ...) -> Floats: ...  # noqa: D102


def open_measurable(name: str) -> Measurable:
    """A model by its name or folder, a baseline: ``colour-histogram``, ``rotated-hog``, or ``mobilenetv2:FILE`` with its ImageNet weights.

    Raises:
        ModelError: where there is no such model.
    """
    if name.startswith(PREFIX):
        return MobileNetGem(Path(name.removeprefix(PREFIX)).expanduser())
    return BASELINES[name]() if name in BASELINES else load(name)
