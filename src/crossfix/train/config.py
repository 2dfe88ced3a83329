"""The typed configuration of a training run: what a recipe returns and what ``config.json`` holds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from crossfix.data.dataset import Direction
from crossfix.disk import LATER, plain
from crossfix.errors import InputError
from crossfix.models.card import GroundFit, Preprocessing
from crossfix.models.gengeo import ArchConfig
from crossfix.models.overhead import TURNS
from crossfix.train.augment import AugmentConfig
from crossfix.train.geolink import GeoLinkTraining
from crossfix.train.ground import GroundViews
from crossfix.train.panoramas import PanoramaAugment
from crossfix.train.samplers import Neighbourhood
from crossfix.worlds.pairs import BankPlan


@dataclass(frozen=True)
class OptimConfig:
    """AdamW with linear warm-up and a cosine to ``floor * learning_rate``.

    Attributes:
        learning_rate: at the end of the warm-up; of the encoder, and of everything else times ``head_rate``.
        weight_decay: on weights of two and more axes only; norms, biases and the temperature have none.
        warmup_steps: steps of linear warm-up.
        warmup_share: further steps of it, as a share of all steps: one epoch of 40 is 0.025, however many steps that makes.
        clip_norm: the gradient's norm is clipped to this.
        betas: AdamW's decay rates.
        floor: the last step's learning rate as a fraction of ``learning_rate``.
        head_rate: learning rate of whatever is not the encoder, as a multiple of the encoder's: a head that begins with random numbers
            behind an encoder that does not.
        decay_all: weight decay on norms, biases and the temperature, too, as torch's optimisers do when left alone.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    clip_norm: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    floor: float = 0.01
    warmup_share: float = 0.0
    head_rate: float = 1.0
    decay_all: bool = False


@dataclass(frozen=True)
class SetData:
    """The training split of a data set, as `crossfix.data.registry` opens it. Where its copy lies is no part of it.

    Attributes:
        name: of the data set.
        split: of it.
        direction: "g2s" (panoramas) or "d2s" (drone pictures); pairs are the same the other way round.
        query_hw: height and width that panoramas or drone pictures are resized to.
        satellite_px: likewise, of satellite pictures.
        draw: "query": every query is a training pair, as Sample4Geo has it. "place": every place is one, and each time one of its queries
            (and one of its satellite pictures) is drawn anew: for sets with dozens of pictures a place.
        ground_fit: see `Preprocessing.ground_fit`.
        semi_positives: what a satellite picture is to a query that it shows off its middle: "neutral" is no negative, "apart" never shares
            a batch with it (needs ``neighbours``), "negatives" is a negative like any other, as in Sample4Geo.
    """

    name: str
    split: str
    direction: Direction
    query_hw: tuple[int, int]
    satellite_px: int
    draw: Literal["query", "place"] = "query"
    ground_fit: GroundFit = "whole"
    semi_positives: Literal["neutral", "apart", "negatives"] = "neutral"

    def __post_init__(self) -> None:
        if self.direction not in ("g2s", "d2s"):
            raise InputError(f"direction is {self.direction}", where="training config", mend="give g2s or d2s")

    @property
    def panoramas(self) -> bool:
        """Whether the queries are panoramas."""
        return self.direction == "g2s"


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the weights a run ends with, machine and thread count aside.

    Attributes:
        recipe: name of the recipe, written into the model's card.
        arch: the architecture, as ``card.json`` holds it.
        data: the pairs to train on. Of a bank, no region but its regions is ever seen, also not in validation.
        mean: of the pictures' channels in [0, 1], subtracted before the network.
        std: of the channels, divided by.
        steps: optimiser steps; the schedule is laid over them.
        epochs: passes over the training pairs instead, above 0; `resolved` makes steps of them.
        batch: pairs of a micro-batch; never two of one place.
        cached: pairs whose activations are kept at a time. Loss and gradients are those of the whole micro-batch all the same, for one more
            forward pass (gradient caching). 0 keeps those of all.
        together: places of one world that enter a batch together, as each other's negatives.
        neighbours: how batches are made of pairs that are hard to tell apart; None draws them at random.
        accumulate: micro-batches a step; each has its own negatives.
        held_out: places kept out of training for validation, spread evenly over the regions; of a data set, those that a hash of their
            names picks, the same for every seed.
        optim: the optimiser.
        augment: the augmentation, of drone pairs or of pairs with panoramas.
        temperature: the contrastive loss's temperature at the start.
        label_smoothing: share of the target given to the negatives.
        tokens_weight: weight of the term by which tokens of one view find those of the other that show the same ground; 0 leaves it out.
        ema: decay of the moving average of the weights that is validated and kept; 0 switches it off.
        precision: Fabric's name of the precision; where the hardware has no bfloat16, "bf16-mixed" becomes float32, which is faster there.
        seed: keys weights, batches, augmentation and dropout.
        validate_every: steps between validations.
        checkpoint_every: steps between checkpoints.
        log_every: steps between log lines.
        licence: licence of the weights, for the card.
        pretrained: the encoder begins with timm's published weights, from the Hugging Face hub or its cache.
        recompute: activations inside the encoder's blocks are computed again in the backward pass instead of being kept: less memory, a
            third more time.
        geolink: training with point clouds beside the pictures, drone pictures of a data set only; None trains on pictures alone.
        ground: panoramas of the same places beside drone pictures, for one model of both; None: without.
        start: SHA-256 of the weights that the run begins with, see `crossfix.train.start`; empty: random numbers.
    """

    recipe: str
    arch: ArchConfig
    data: BankPlan | SetData
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    steps: int = 2000
    epochs: int = 0
    batch: int = 64
    cached: int = 0
    together: int = 1
    neighbours: Neighbourhood | None = None
    accumulate: int = 1
    held_out: int = 200
    optim: OptimConfig = field(default_factory=OptimConfig)
    augment: AugmentConfig | PanoramaAugment = field(default_factory=AugmentConfig)
    temperature: float = 0.07
    label_smoothing: float = 0.1
    tokens_weight: float = 0.0
    ema: float = 0.0
    precision: str = "bf16-mixed"
    seed: int = 0
    validate_every: int = 250
    checkpoint_every: int = 100
    log_every: int = 10
    licence: str = "Apache-2.0"
    pretrained: bool = False
    recompute: bool = False
    geolink: GeoLinkTraining | None = field(default=None, metadata=LATER)
    ground: GroundViews | None = field(default=None, metadata=LATER)
    start: str = field(default="", metadata=LATER)

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "together", "accumulate", "held_out", "validate_every", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}", where="training config", mend="give at least 1")
        if self.batch < 2:
            raise InputError("a batch of one pair has no negatives", where="training config", mend="give batch at least 2")
        if self.cached < 0 or (self.cached and self.tokens_weight > 0):
            raise InputError("gradient caching is for losses of descriptors", where="training config", mend="leave out cached or tokens")
        if not 0 <= self.ema < 1:
            raise InputError(f"ema is {self.ema}", where="training config", mend="give a decay in [0, 1)")
        data = self.data if isinstance(self.data, SetData) else None
        panoramas = data is not None and data.panoramas
        if panoramas != isinstance(self.augment, PanoramaAugment):
            raise InputError(
                "the augmentation is not for this kind of view", where="training config", mend="panoramas take PanoramaAugment"
            )
        if data is not None and panoramas and data.satellite_px != self.arch.px:
            raise InputError("satellite_px is not the architecture's px", where="training config", mend="make both equal")
        if data is not None and self.tokens_weight > 0:
            raise InputError("a data set does not say how its pictures lie", where="training config", mend="leave tokens_weight out")
        if data is not None and data.semi_positives == "apart" and self.neighbours is None:
            raise InputError('semi_positives "apart" needs neighbours', where="training config", mend="give neighbours, or take neutral")
        if self.geolink is not None:
            if data is None or panoramas:
                raise InputError("3D is for drone pictures of a data set", where="training config", mend="leave geolink out")
            if self.cached or self.tokens_weight > 0:
                raise InputError("training with 3D keeps whole batches", where="training config", mend="leave out cached and tokens_weight")
            if self.geolink.terms.ground_tokens and (self.ground is None or self.ground.fit != "overhead"):
                what = "the term ground_tokens needs ground views that are redrawn as seen from above"
                raise InputError(what, where="training config", mend='give ground views with fit="overhead", or leave the term out')
        if self.arch.ground_encoder and self.ground is None:
            mend = "give ground views, or take ground_encoder out of the architecture"
            raise InputError("an encoder for pictures from the ground has none to learn from", where="training config", mend=mend)
        if self.ground is not None:
            if self.ground.alone and self.geolink is not None:
                raise InputError(
                    "3D teaches drone pictures, which learn nothing", where="training config", mend="leave geolink or alone out"
                )
            if self.ground.alone and not self.arch.ground_encoder:
                mend = "give the architecture ground_encoder"
                raise InputError("pictures from the ground have no encoder of their own to train alone", where="training config", mend=mend)
            if panoramas:
                raise InputError("ground views go beside drone pictures", where="training config", mend="leave ground out")
            if self.cached:
                raise InputError("gradient caching is for pairs of two views", where="training config", mend="leave out cached or ground")

    @property
    def query_turns(self) -> Literal[1, 4]:
        """Quarter turns at which the model wants its queries described."""
        if isinstance(self.augment, AugmentConfig):
            return 4 if self.augment.upright else 1
        overhead = isinstance(self.data, SetData) and self.data.ground_fit == "overhead"
        return 4 if overhead and self.augment.heading == "free" else 1

    @property
    def panorama_turns(self) -> int:
        """Turns at which the model wants panoramas described, see `Describer.describe_query`."""
        return TURNS if self.query_turns > 1 and self.preprocessing.ground_fit == "overhead" else 1

    @property
    def panorama_hw(self) -> tuple[int, int] | None:
        """Height and width of panoramas, where any are trained on."""
        if self.ground is not None:
            return self.ground.hw
        return self.data.query_hw if isinstance(self.data, SetData) and self.data.panoramas else None

    @property
    def preprocessing(self) -> Preprocessing:
        """What the model that is trained asks of its pictures."""
        given = self.arch.px, self.mean, self.std
        if self.panorama_hw is None:
            return Preprocessing(*given)
        ground_fit = self.ground.fit if self.ground is not None else cast("SetData", self.data).ground_fit
        ground_hw = (self.arch.px, self.arch.px) if ground_fit == "overhead" else self.panorama_hw
        return Preprocessing(*given, ground_hw=ground_hw, ground_fit=ground_fit)

    def resolved(self, batches_per_epoch: int) -> TrainConfig:
        """The config with the steps that its epochs make, where it counts in epochs.

        Args:
            batches_per_epoch: micro-batches that an epoch of the training pairs gives.
        """
        if not self.epochs:
            return self
        return dataclasses.replace(self, steps=max(1, self.epochs * batches_per_epoch // self.accumulate))

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON holds it: nested dicts, tuples as lists."""
        return plain(self)


def first_difference(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> str | None:
    """Dotted name of the first field in which two configs differ, or None where they agree."""
    for key in [*old, *(key for key in new if key not in old)]:
        name = f"{prefix}{key}"
        if key not in old or key not in new:
            return name
        if isinstance(old[key], dict) and isinstance(new[key], dict):
            deeper = first_difference(old[key], new[key], f"{name}.")
            if deeper is not None:
                return deeper
        elif old[key] != new[key]:
            return name
    return None
