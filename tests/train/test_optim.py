from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from crossfix.train.config import OptimConfig
from crossfix.train.optim import average_, learning_rate, make_optimizer, set_rate


def test_schedule_warms_up_and_ends_at_the_floor():
    config = OptimConfig(learning_rate=1e-3, warmup_steps=10, floor=0.01)
    rates = [learning_rate(step, 110, config) for step in range(110)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[9] == pytest.approx(1e-3)
    assert rates[10] == pytest.approx(1e-3)
    assert rates[-1] == pytest.approx(1e-5)
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[9:]))
    assert rates[10 + 99 // 2] == pytest.approx(0.5 * (1e-3 + 1e-5), rel=0.05)


def test_no_decay_on_norms_biases_and_scalars():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    module.register_parameter("scale", nn.Parameter(torch.tensor(1.0)))
    decayed, plain = make_optimizer(module, OptimConfig(weight_decay=0.1)).param_groups
    assert [p.ndim for p in decayed["params"]] == [4]
    assert decayed["weight_decay"] == 0.1
    assert sorted(p.ndim for p in plain["params"]) == [0, 1, 1, 1]
    assert plain["weight_decay"] == 0.0


def test_average_moves_towards_the_weights_and_copies_buffers():
    average, module = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    nn.init.constant_(average.weight, 0.0)
    module.running_mean.fill_(5.0)
    average_(average, module, 0.9, step=1000)
    torch.testing.assert_close(average.weight.detach(), torch.full((3,), 0.1))
    torch.testing.assert_close(average.running_mean, torch.full((3,), 5.0))
    average_(average, module, 0.9, step=0)  # decay 0.1 at the start
    torch.testing.assert_close(average.weight.detach(), torch.full((3,), 0.91))


def test_a_share_of_the_steps_warms_up_however_many_they_are():
    config = OptimConfig(learning_rate=1.0, warmup_steps=0, warmup_share=1 / 40, floor=0.0)
    for steps in (40, 400):
        rates = [learning_rate(step, steps, config) for step in range(steps)]
        assert rates.index(max(rates)) == max(0, steps // 40 - 1)
        assert rates[-1] == pytest.approx(0.0, abs=1e-9)
    assert learning_rate(0, 2, config) == 1.0, "two steps have no warm-up to speak of"


def test_what_is_no_encoder_has_a_rate_of_its_own():
    module = nn.ModuleDict({"encoder": nn.Linear(2, 2), "head": nn.Linear(2, 1)})
    module["encoder"].bias.requires_grad_(False)
    optimizer = make_optimizer(module, OptimConfig(head_rate=5.0, weight_decay=0.1), module["encoder"])
    set_rate(optimizer, 1e-3)
    rate = {id(p): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]}
    assert rate == {
        id(module["encoder"].weight): (1e-3, 0.1),
        id(module["head"].weight): (pytest.approx(5e-3), 0.1),
        id(module["head"].bias): (pytest.approx(5e-3), 0.0),
    }
    for group in make_optimizer(module, OptimConfig(decay_all=True, weight_decay=0.1)).param_groups:
        assert group["weight_decay"] == 0.1
        assert group["scale"] == 1.0
