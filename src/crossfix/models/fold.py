"""Fold batch norms into the convolutions before them, for inference."""

from __future__ import annotations

import copy
from typing import Any, TypeVar, cast

import torch
from timm.utils.model import reparameterize_model
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_Net = TypeVar("_Net", bound=nn.Module)
_TOLERANCE = 1e-3


def folded(net: _Net, example: torch.Tensor) -> _Net:
    """A copy of a network for inference whose batch norms are folded and whose training-time branches (RepVGG, MobileOne) are merged.

    Which norm follows which convolution is seen by running the network once, so any architecture will do; those where folding would
    change the result, because a convolution's output is used elsewhere too, are copied unfolded.

    Args:
        net: takes `example` and returns a tensor; left as it is.
        example: an input in float32.
    """
    plain = copy.deepcopy(net).eval()
    with torch.no_grad():
        wanted = plain(example)
        try:
            fast = cast(_Net, reparameterize_model(copy.deepcopy(plain), inplace=True))
            _fold(fast, example)
            same = torch.allclose(fast(example), wanted, atol=_TOLERANCE * float(wanted.abs().max()), rtol=0)
        except (AttributeError, TypeError, RuntimeError):  # a branch merging or norm of a kind torch cannot fold
            same = False
    return fast if same else plain


def _fold(net: nn.Module, example: torch.Tensor) -> None:
    made: dict[int, tuple[nn.Conv2d, torch.Tensor]] = {}  # holding the tensors keeps their ids from being used again
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def after_conv(conv: nn.Module, _: Any, out: torch.Tensor) -> None:  # noqa: ANN401
        if isinstance(conv, nn.Conv2d):
            made[id(out)] = (conv, out)

    def before_norm(norm: nn.Module, args: Any) -> None:  # noqa: ANN401
        if isinstance(norm, nn.BatchNorm2d) and id(args[0]) in made:
            pairs.append((made[id(args[0])][0], norm))

    hooks = [m.register_forward_hook(after_conv) for m in net.modules() if isinstance(m, nn.Conv2d)]
    hooks += [m.register_forward_pre_hook(before_norm) for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    net(example)
    for hook in hooks:
        hook.remove()
    names = {module: name for name, module in net.named_modules()}
    for conv, norm in pairs:
        _put(net, names[conv], fuse_conv_bn_eval(conv, norm))
        # timm's norms carry their activation with them
        rest = [cast(nn.Module, getattr(norm, part)) for part in ("drop", "act") if hasattr(norm, part)]
        _put(net, names[norm], nn.Sequential(*rest))


def _put(net: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(net.get_submodule(parent), child, module)
