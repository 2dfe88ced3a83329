"""Recipes: a function each, returning a typed config. Its docstring begins with the command and says what to expect."""

from __future__ import annotations

from collections.abc import Callable

from crossfix.errors import InputError
from crossfix.models.gengeo import ArchConfig, GemConfig
from crossfix.train.augment import AugmentConfig
from crossfix.train.config import OptimConfig, TrainConfig
from crossfix.worlds.pairs import BankPlan


def gengeo_tiny() -> TrainConfig:
    """``crossfix train gengeo-tiny -o runs/tiny``: the bundled model, from procedural worlds alone.

    Expected time and figures stand in the bundled model's card, which this recipe wrote.
    """
    return TrainConfig(
        recipe="gengeo-tiny",
        arch=ArchConfig("resnet18", 128, GemConfig(256), stride=16),
        bank=BankPlan(regions=("suburb", "town", "downtown", "farmland", "industrial", "valley"), places=6000, seed=1),
        steps=4000,
        batch=64,
        held_out=300,
        optim=OptimConfig(learning_rate=1.5e-3, warmup_steps=200),
        augment=AugmentConfig(curriculum_steps=1000),
        ema=0.999,
    )


RECIPES: dict[str, Callable[[], TrainConfig]] = {"gengeo-tiny": gengeo_tiny}


def recipe(name: str) -> TrainConfig:
    """The config of a named recipe.

    Raises:
        InputError: where there is none of this name.
    """
    if name not in RECIPES:
        raise InputError("there is no such recipe", where=name, mend=f"choose one of {', '.join(RECIPES)}")
    return RECIPES[name]()
