"""Which foreign tensors make one of ours, and filling a model with them, with one sentence where they do not fit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from crossfix.errors import ModelError

_SHOWN = 3


def _alone(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


@dataclass(frozen=True)
class Source:
    """Where one of our tensors comes from.

    Attributes:
        names: of the foreign tensors it is made of.
        make: makes it of them.
        else_zero: zeros serve where the file lacks it.
    """

    names: tuple[str, ...]
    make: Callable[..., torch.Tensor] = _alone
    else_zero: bool = False


Sources = Callable[[str], Source | None]
"""From the name of one of our tensors to its source; None leaves it as it was initialised."""


def named(name: str) -> Source:
    """The foreign tensor of this name, as it is."""
    return Source((name,))


def shape(tensors: Mapping[str, torch.Tensor], name: str, ndim: int) -> tuple[int, ...]:
    """The shape of a tensor from which a model's sizes are told.

    Args:
        tensors: all of the file.
        name: of the one.
        ndim: how many dimensions it has to have.

    Raises:
        ModelError: if it is missing or has others.
    """
    if name not in tensors:
        raise ModelError(f"the tensors are not as published: 1 missing ({name})")
    found = tuple(tensors[name].shape)
    if len(found) != ndim or 0 in found:
        raise ModelError(f"the tensors are not as published: {name} is of shape {_by(found)}, expected {ndim} dimensions")
    return found


def count(names: Collection[str], prefix: str) -> int:
    """How many numbered parts there are behind a prefix; numbers left out are found missing when the model is filled."""
    parts = {name.removeprefix(prefix).split(".")[0] for name in names if name.startswith(prefix)}
    return sum(part.isdecimal() for part in parts)


def fill(model: nn.Module, tensors: Mapping[str, torch.Tensor], sources: Sources, unneeded: Collection[str]) -> None:
    """Put foreign tensors into a model.

    Args:
        model: built for them; changed.
        tensors: all of the file.
        sources: where each of the model's tensors comes from.
        unneeded: foreign names that may be there and are not used.

    Raises:
        ModelError: if names are missing or left over, or shapes are not the model's; it names the first few.
    """
    missing: list[str] = []
    wrong: list[str] = []
    used: set[str] = set()
    state: dict[str, torch.Tensor] = {}
    for name, ours in model.state_dict().items():
        source = sources(name)
        if source is None:
            continue
        used.update(source.names)
        absent = [foreign for foreign in source.names if foreign not in tensors]
        if absent:
            if source.else_zero:
                state[name] = torch.zeros_like(ours)
            missing += [] if source.else_zero else absent
            continue
        parts = [tensors[foreign] for foreign in source.names]
        try:
            theirs = source.make(*parts)
        except (RuntimeError, IndexError):  # parts that do not go together
            theirs = None
        if theirs is None or theirs.shape != ours.shape:
            wrong.append(f"{source.names[0]} is of shape {_by(parts[0].shape)}, as ours it would have to be {_by(ours.shape)}")
        else:
            state[name] = theirs.to(ours.dtype)
    left = [name for name in tensors if name not in used and name not in unneeded]
    _check(dict.fromkeys(missing), left, wrong)
    model.load_state_dict(state, strict=False)


def _check(missing: Collection[str], left: Sequence[str], wrong: Sequence[str]) -> None:
    parts = [
        f"{len(names)} {what} ({_first(list(names), joint)})"
        for names, what, joint in ((missing, "missing", ", "), (left, "unexpected", ", "), (wrong, "of another shape", "; "))
        if names
    ]
    if parts:
        raise ModelError(f"the tensors are not as published: {', '.join(parts)}")


def _first(names: Sequence[str], joint: str) -> str:
    return joint.join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _by(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes)) or "one number"
