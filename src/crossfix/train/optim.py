"""AdamW's parameter groups, the learning rate's schedule, and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from crossfix.train.config import OptimConfig


def learning_rate(step: int, steps: int, config: OptimConfig) -> float:
    """The learning rate of optimiser step ``step`` (0-based) of ``steps``: linear warm-up, then a cosine to the floor."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    turn = (step - config.warmup_steps) / max(1, steps - 1 - config.warmup_steps)
    return config.learning_rate * (config.floor + (1 - config.floor) * 0.5 * (1 + math.cos(math.pi * min(turn, 1.0))))


def make_optimizer(module: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW with weight decay on parameters of two and more axes only."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def average_(average: nn.Module, module: nn.Module, decay: float, step: int) -> None:
    """Move an average of the weights towards them; buffers are copied.

    The decay grows with the steps up to ``decay``, so that the average forgets the start.
    """
    decay = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        torch._foreach_lerp_(_tensors(average.parameters()), _tensors(module.parameters()), 1 - decay)
        for mine, theirs in zip(average.buffers(), module.buffers(), strict=True):
            mine.copy_(theirs)


def _tensors(parameters: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    return [parameter.detach() for parameter in parameters]
