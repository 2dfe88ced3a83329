"""The typed configuration of a training run: what a recipe returns and what ``config.json`` holds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from crossfix.errors import InputError
from crossfix.models.gengeo import ArchConfig
from crossfix.train.augment import AugmentConfig
from crossfix.worlds.pairs import BankPlan


@dataclass(frozen=True)
class OptimConfig:
    """AdamW with linear warm-up and a cosine to ``floor * learning_rate``.

    Attributes:
        learning_rate: at the end of the warm-up.
        weight_decay: on weights of two and more axes only; norms, biases and the temperature have none.
        warmup_steps: steps of linear warm-up.
        clip_norm: the gradient's norm is clipped to this.
        betas: AdamW's decay rates.
        floor: the last step's learning rate as a fraction of ``learning_rate``.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    clip_norm: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    floor: float = 0.01


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the weights a run ends with, machine and thread count aside.

    Attributes:
        recipe: name of the recipe, written into the model's card.
        arch: the architecture, as ``card.json`` holds it.
        bank: the pairs to train on; no region but its regions is ever seen, also not in validation.
        mean: of the pictures' channels in [0, 1], subtracted before the network.
        std: of the channels, divided by.
        steps: optimiser steps; the schedule is laid over them.
        batch: pairs of a micro-batch; never two of one place.
        together: places of one world that enter a batch together, as each other's negatives.
        accumulate: micro-batches a step; each has its own negatives.
        held_out: places kept out of training for validation, spread evenly over the regions.
        optim: the optimiser.
        augment: the augmentation.
        temperature: the contrastive loss's temperature at the start.
        label_smoothing: share of the target given to the negatives.
        tokens_weight: weight of the term by which tokens of one view find those of the other that show the same ground; 0 leaves it out.
        ema: decay of the moving average of the weights that is validated and kept; 0 switches it off.
        precision: Fabric's name of the precision.
        seed: keys weights, batches, augmentation and dropout.
        validate_every: steps between validations.
        checkpoint_every: steps between checkpoints.
        log_every: steps between log lines.
        licence: licence of the weights, for the card.
    """

    recipe: str
    arch: ArchConfig
    bank: BankPlan
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    steps: int = 2000
    batch: int = 64
    together: int = 1
    accumulate: int = 1
    held_out: int = 200
    optim: OptimConfig = field(default_factory=OptimConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
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

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "together", "accumulate", "held_out", "validate_every", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}", where="training config", mend="give at least 1")
        if self.batch < 2:
            raise InputError("a batch of one pair has no negatives", where="training config", mend="give batch at least 2")
        if not 0 <= self.ema < 1:
            raise InputError(f"ema is {self.ema}", where="training config", mend="give a decay in [0, 1)")

    @property
    def query_turns(self) -> Literal[1, 4]:
        """Quarter turns at which the model wants its queries described."""
        return 4 if self.augment.upright else 1

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON holds it: nested dicts, tuples as lists."""
        plain = _plain({**dataclasses.asdict(self), "arch": self.arch.to_dict()})
        assert isinstance(plain, dict)
        return plain


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Turn tuples into lists all the way down, as reading the JSON back would."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


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
