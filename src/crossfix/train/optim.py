"""AdamW's parameter groups, the learning rate's schedule, and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

import torch
from torch import nn

from crossfix.train.config import OptimConfig


def learning_rate(step: int, steps: int, config: OptimConfig) -> float:
    """The learning rate of optimiser step ``step`` (0-based) of ``steps``: linear warm-up, then a cosine to the floor."""
    warmup = config.warmup_steps + round(config.warmup_share * steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    turn = (step - warmup) / max(1, steps - 1 - warmup)
    return config.learning_rate * (config.floor + (1 - config.floor) * 0.5 * (1 + math.cos(math.pi * min(turn, 1.0))))


def make_optimizer(
    module: nn.Module, config: OptimConfig, encoder: nn.Module | None = None, others: Collection[nn.Parameter] = ()
) -> torch.optim.AdamW:
    """AdamW with weight decay on parameters of two and more axes only, or on all, and a learning rate of its own for what is no encoder.

    Args:
        module: whose parameters are trained, those that want a gradient.
        config: rates and decay.
        encoder: the part of it that learns at the plain rate; None: all of it does.
        others: parameters that another optimiser trains.

    Returns:
        The optimiser. Each of its groups has a ``scale``: its learning rate over the schedule's, see `set_rate`.
    """
    left = set(others)
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad and parameter not in left]
    plain = set(trained) if encoder is None or config.head_rate == 1 else set(encoder.parameters())
    groups = []
    for scale, some in ((1.0, [p for p in trained if p in plain]), (config.head_rate, [p for p in trained if p not in plain])):
        decayed = [p for p in some if p.ndim >= 2 or config.decay_all]
        kept = [p for p in some if p.ndim < 2 and not config.decay_all]
        groups += [{"params": decayed, "weight_decay": config.weight_decay, "scale": scale}] if decayed else []
        groups += [{"params": kept, "weight_decay": 0.0, "scale": scale}] if kept else []
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set every group's learning rate to its scale times the schedule's."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


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
