"""Recipes that train on procedural worlds alone."""

from __future__ import annotations

from dataclasses import replace

from crossfix.models.gengeo import ArchConfig, SaladConfig
from crossfix.train.augment import AugmentConfig, ColourConfig, WarpConfig
from crossfix.train.config import OptimConfig, TrainConfig
from crossfix.train.ground import GroundViews
from crossfix.train.panoramas import PanoramaAugment
from crossfix.worlds.pairs import BankPlan

_BANK = BankPlan(regions=("suburb", "town", "downtown", "farmland", "industrial", "valley"), places=2880, seed=1000)
_AUGMENT = AugmentConfig(
    satellite=WarpConfig(rotate_deg=10.0, shift=0.05, side=(0.85, 1.18)),
    colour=ColourConfig(
        brightness=0.1, contrast=0.25, saturation=0.4, gain=0.12, gamma=0.25, mixing=0.08, grey=0.06, haze=0.25, cutout=0.1
    ),
    upright=True,
)


def gengeo_tiny_drone() -> TrainConfig:
    """``crossfix train gengeo-tiny-drone -o runs/tiny-drone``: drone pictures in good weather, from procedural worlds alone.

    The first stage of the bundled model. Expect on two cores with bf16: half an hour of rendering (8 CPU seconds a world, 240 worlds), then
    an hour and a quarter of training; R@1 0.88 on 240 held-out places of the training regions. docs/measurements.md says what each of its
    choices brought.
    """
    return TrainConfig(
        recipe="gengeo-tiny-drone",
        arch=ArchConfig("resnet34", 64, SaladConfig(clusters=16, cluster_dim=32, token_dim=64, hidden=256, dropout=0.0), stride=8),
        data=_BANK,
        steps=14000,
        batch=64,
        together=3,
        held_out=240,
        optim=OptimConfig(learning_rate=3e-3, warmup_steps=300),
        augment=replace(_AUGMENT, curriculum_steps=8000),
        tokens_weight=3.0,
        ema=0.999,
        validate_every=1000,
        checkpoint_every=500,
    )


def gengeo_tiny_weather() -> TrainConfig:
    """``crossfix train gengeo-tiny-weather -o runs/tiny-weather --start runs/tiny-drone``: drone pictures in any weather.

    The second stage of the bundled model, which goes on from the weights of `gengeo_tiny_drone`. Weather lies on drone pictures, satellite
    pictures show less of the ground than photos from 300 m do, and a quarter of a batch's places show a panorama or a part of one besides,
    cut into squares; the model hardly learns to tell those apart (docs/measurements.md), which is what the third stage is for. Expect
    on two cores with bf16 an hour of rendering, then an hour and a quarter of training; R@1 0.86 on held-out places.

    ``crossfix model average runs/tiny-drone runs/tiny-weather -o models/tiny-drone`` is halfway between both stages, and better in the
    laboratory's unseen regions than either.
    """
    drone = gengeo_tiny_drone()
    return replace(
        drone,
        recipe="gengeo-tiny-weather",
        arch=replace(drone.arch, squares=True),
        data=replace(_BANK, panoramas=2),
        steps=10000,
        optim=OptimConfig(learning_rate=2e-3, warmup_steps=300),
        ground=GroundViews((64, 256), share=0.25, fit="whole", augment=PanoramaAugment(heading="free", fov_deg=(90.0, 360.0))),
        augment=replace(_AUGMENT, satellite=replace(_AUGMENT.satellite, side=(0.6, 1.18)), weather=0.3),
    )


def gengeo_tiny() -> TrainConfig:
    """``crossfix train gengeo-tiny -o runs/tiny --start models/tiny-drone``: the bundled model, whose third stage this is.

    Panoramas, or parts of 90 degrees and more, any heading. They are redrawn as seen from above and have an encoder of their own, which
    begins as that of the average of the first two stages and alone learns: everything else stays as it is, bit for bit, for one encoder
    of this size loses drone pictures as it learns panoramas (docs/measurements.md). Its places are those of no other stage, so that
    it meets satellite descriptors as they are where nobody trained. Expect 25 minutes of rendering on two cores, then half an hour of
    training on one of them with bf16 (94 minutes were measured without); R@1 0.30 on held-out panoramas.
    """
    weather = gengeo_tiny_weather()
    return replace(
        weather,
        recipe="gengeo-tiny",
        arch=replace(weather.arch, squares=False, ground_encoder=True),
        data=replace(_BANK, seed=1003, side_m=(90.0, 260.0), views=1, panoramas=2),
        steps=4000,
        validate_every=500,
        ground=GroundViews((64, 256), share=1.0, augment=PanoramaAugment(heading="free", fov_deg=(90.0, 360.0)), alone=True),
    )
