"""What a model folder says of its model: architecture, preprocessing, training, figures, licence, checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from crossfix.disk import LATER, plain
from crossfix.errors import ModelError
from crossfix.models.gengeo import ArchConfig

_FORMAT = 1
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
GroundFit = Literal["whole", "middle", "overhead"]


@dataclass(frozen=True)
class Preprocessing:
    """From RGB pixels to the network's input: resize the whole picture to px x px, divide by 255, subtract mean, divide by std.

    A model of panoramas takes pictures from the ground at a size of their own.

    Attributes:
        px: side of the square input.
        mean: of red, green, blue on the scale 0 to 1.
        std: of red, green, blue.
        interpolation: "area" averages where the picture shrinks and is linear where it grows.
        ground_hw: height and width that pictures from the ground are resized to; None: px x px like the others.
        ground_fit: "whole" resizes all of a picture from the ground; "middle" cuts rows away above and below until it is as flat as
            ground_hw, so that a degree is as many pixels down as across, however high a data set's panoramas are; "overhead" redraws it
            as seen from above, px x px, see `crossfix.models.overhead`: pictures that are no panorama by their shape, less than 1.9 times
            as wide as high, are then taken to show 70 degrees of the horizon where nobody says how much they show.
    """

    px: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: Literal["area"] = "area"
    ground_hw: tuple[int, int] | None = field(default=None, metadata=LATER)
    ground_fit: GroundFit = field(default="whole", metadata=LATER)


@dataclass(frozen=True)
class ModelCard:
    """A model's papers.

    Attributes:
        name: short name.
        architecture: what the network is built from.
        preprocessing: what happens to a picture before.
        description: one or two sentences.
        training_data: what it was trained on; empty where it was not.
        recipe: the resolved training config.
        seed: of the training.
        metrics: figures measured, by name; nested where they belong together.
        licence: of the weights (SPDX).
        head_trained: false where the encoder's weights are published ones and the head holds random numbers.
        dtype: in which matrices and kernels are stored; vectors are float32 always, and a loaded model is float32.
        query_turns: quarter turns at which a query of unknown heading has to be described, the best one counting: 4 where the model was
            trained on pictures whose north is about up, 1 where it was trained on any heading.
        sha256: of model.safetensors; filled in when saved.
        any_view: a model of panoramas that was trained on pictures from above as queries, too.
    """

    name: str
    architecture: ArchConfig
    preprocessing: Preprocessing
    description: str = ""
    training_data: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    licence: str = "Apache-2.0"
    head_trained: bool = True
    dtype: Literal["float32", "float16"] = "float32"
    query_turns: Literal[1, 4] = 1
    sha256: str = ""
    any_view: bool = field(default=False, metadata=LATER)

    def __post_init__(self) -> None:
        if self.preprocessing.px != self.architecture.px:
            raise ModelError(
                f"preprocessing makes pictures of {self.preprocessing.px} px, the architecture expects {self.architecture.px} px",
                where=self.name,
                mend="make both equal",
            )
        if self.query_turns not in (1, 4):
            raise ModelError(f"queries cannot be described at {self.query_turns} turns", where=self.name, mend="give 1 or 4")
        if self.dtype not in ("float32", "float16"):
            raise ModelError(f"weights cannot be stored as {self.dtype}", where=self.name, mend="use float32 or float16")
        if self.preprocessing.interpolation != "area" or len(self.preprocessing.mean) != 3 or len(self.preprocessing.std) != 3:
            raise ModelError("its preprocessing is not one this version knows", where=self.name, mend="update crossfix")
        ground = self.preprocessing.ground_hw
        if self.preprocessing.ground_fit not in get_args(GroundFit) or (ground is not None and (len(ground) != 2 or min(ground) < 1)):
            raise ModelError("pictures from the ground have no size this version knows", where=self.name, mend="update crossfix")

    def to_dict(self) -> dict[str, Any]:
        """The card as JSON values, with the format's version."""
        return {"format": _FORMAT, **plain(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelCard:
        """Read what `to_dict` wrote.

        Raises:
            ModelError: for another format, or unknown, missing or contradictory entries.
        """
        if values.get("format") != _FORMAT:
            raise ModelError(f"model card of format {values.get('format')!r}, this version reads {_FORMAT}", mend="update crossfix")
        rest = {key: value for key, value in values.items() if key != "format"}
        try:
            pre = dict(rest["preprocessing"])
            pre |= {"mean": tuple(pre["mean"]), "std": tuple(pre["std"])}
            if pre.get("ground_hw") is not None:
                pre["ground_hw"] = tuple(pre["ground_hw"])
            rest["preprocessing"] = Preprocessing(**pre)
            rest["architecture"] = ArchConfig.from_dict(rest["architecture"])
            return cls(**rest)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"model card with a missing or unknown entry ({error})", mend="update crossfix or export the model again"
            ) from error

    def identity(self, weights_sha256: str) -> str:
        """Hex digest of everything that decides a descriptor: weights, architecture and preprocessing."""
        decisive = {"weights": weights_sha256, "architecture": self.architecture.to_dict(), "preprocessing": plain(self.preprocessing)}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
