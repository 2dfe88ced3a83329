"""Rough weather in training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from crossfix.models.gengeo import ArchConfig, GemConfig
from crossfix.train.augment import AugmentConfig, ColourConfig, WarpConfig
from crossfix.train.config import SetData, TrainConfig
from crossfix.train.prepare import Prepare
from crossfix.train.source import PairBatch
from crossfix.train.weather import _streaked, weather


def pictures(count: int = 64, px: int = 32) -> torch.Tensor:
    return torch.rand(count, 3, px, px, generator=torch.Generator().manual_seed(5)) * 0.5 + 0.2


def changed(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    return (before - after).abs().amax((1, 2, 3)) > 1e-4


def test_so_many_pictures_are_changed_and_the_same_ones_again():
    clear = pictures(400)
    first, second = (weather(clear, 0.5, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, second)
    # Half are chosen; one in eleven of these draws none of the four changes: 1/2 (light) * 3/5 (veil) * 1/2 (flecks) * 3/4 (camera).
    share = float(changed(clear, first).float().mean())
    assert share == pytest.approx(0.5 * (1 - 9 / 80), abs=0.07)
    assert float(first.min()) >= 0
    assert float(first.max()) <= 1
    assert torch.equal(weather(clear, 0.0, torch.Generator().manual_seed(1)), clear)


def test_every_kind_of_weather_comes_and_none_hides_all():
    clear = pictures(600)
    rough = weather(clear, 1.0, torch.Generator().manual_seed(2))
    level, spread = rough.mean((1, 2, 3)) / clear.mean((1, 2, 3)), rough.std((1, 2, 3)) / clear.std((1, 2, 3))
    assert ((level < 0.6).sum() > 60).item(), "dark"
    assert ((level > 1.2) & (spread > 1.05)).sum() > 20, "glaring"
    assert ((level > 1.1) & (spread < 0.9)).sum() > 20, "veiled"
    assert (rough.std((1, 2, 3)) > 0.004).all(), "something of each picture is left"
    assert (rough.mean((1, 2, 3)) < 0.97).all()


def test_a_point_is_drawn_out_along_one_line_and_keeps_its_light():
    dot = torch.zeros(3, 1, 21, 21)
    dot[:, 0, 10, 10] = 1.0
    drawn = _streaked(dot, torch.tensor([0.0, 5.0, 9.0]), torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.sum((1, 2, 3)), torch.ones(3))
    assert torch.equal(drawn[0], dot[0])
    for streak, least in ((drawn[1], 3.0), (drawn[2], 6.0)):
        row, column = torch.nonzero(streak[0] > 0.05, as_tuple=True)
        at = torch.stack([row, column]).double() - 10
        values = torch.linalg.svdvals(at)
        assert values[1] < 0.35 * values[0], "it is long in one direction"
        assert at.norm(dim=0).max() * 2 >= least - 1
    kept = _streaked(dot, torch.tensor([0.0, 5.0, 9.0]), torch.Generator().manual_seed(0), keep=True)
    assert kept.amax((1, 2, 3)).tolist() == [1.0] * 3


def test_only_what_a_drone_sees_is_changed():
    still = ColourConfig(**dict.fromkeys((field.name for field in dataclasses.fields(ColourConfig)), 0.0))
    plain = AugmentConfig(satellite=WarpConfig(), drone=WarpConfig(), colour=still, mirror=False)
    clear = TrainConfig(
        "t", ArchConfig("test_resnet", 32, GemConfig(8), stride=8), SetData("s", "train", "d2s", (32, 32), 32), augment=plain
    )
    rough = dataclasses.replace(clear, augment=dataclasses.replace(plain, weather=1.0))
    assert "weather" not in clear.to_dict()["augment"]
    assert rough.to_dict()["augment"]["weather"] == 1.0
    stored = np.random.default_rng(0).integers(0, 256, (2, 24, 32, 32, 3), dtype=np.uint8)
    batch = PairBatch(stored[0], stored[1], np.arange(24), tuple(map(str, range(24))))
    before, after = (Prepare(config, 1.0, 8, torch.device("cpu"))(batch, 3, 0) for config in (clear, rough))
    assert torch.equal(before.satellite_BCHW, after.satellite_BCHW)
    assert changed(before.query_BCHW, after.query_BCHW).sum() >= 18
