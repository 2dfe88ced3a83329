"""Recipes that train on procedural worlds alone."""

from __future__ import annotations

from crossfix.models.gengeo import ArchConfig, SaladConfig
from crossfix.train.augment import AugmentConfig, ColourConfig, WarpConfig
from crossfix.train.config import OptimConfig, TrainConfig
from crossfix.worlds.pairs import BankPlan


def gengeo_tiny() -> TrainConfig:
    """``crossfix train gengeo-tiny -o runs/tiny``: the bundled model, from procedural worlds alone.

    Expect on two cores with bf16: half an hour of rendering (8 CPU seconds a world, 240 worlds), then an hour and a quarter of training;
    R@1 0.88 on 240 held-out places of the training regions. The card of the bundled model holds the figures on places and regions nobody
    trained on, docs/measurements.md what each of its choices brought.
    """
    return TrainConfig(
        recipe="gengeo-tiny",
        arch=ArchConfig("resnet34", 64, SaladConfig(clusters=16, cluster_dim=32, token_dim=64, hidden=256, dropout=0.0), stride=8),
        data=BankPlan(regions=("suburb", "town", "downtown", "farmland", "industrial", "valley"), places=2880, seed=1000),
        steps=14000,
        batch=64,
        together=3,
        held_out=240,
        optim=OptimConfig(learning_rate=3e-3, warmup_steps=300),
        augment=AugmentConfig(
            satellite=WarpConfig(rotate_deg=10.0, shift=0.05, side=(0.85, 1.18)),
            colour=ColourConfig(
                brightness=0.1, contrast=0.25, saturation=0.4, gain=0.12, gamma=0.25, mixing=0.08, grey=0.06, haze=0.25, cutout=0.1
            ),
            upright=True,
            curriculum_steps=8000,
        ),
        tokens_weight=3.0,
        ema=0.999,
        validate_every=1000,
        checkpoint_every=500,
    )
