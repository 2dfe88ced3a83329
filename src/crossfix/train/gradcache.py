"""Contrastive batches larger than the memory: gradients of the whole batch, activations of one micro-batch at a time.

Source: Gao, Zhang, Han and Callan, Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup (RepL4NLP 2021). All pictures
are described without keeping activations; the loss and its gradient are taken at the descriptors; then each micro-batch is described again,
with activations, and its part of that gradient is passed on. The gradients are those of the whole batch, up to the order of summation, for
one more forward pass.

That holds for encoders in which pictures do not see each other. Batch normalisation by the batch's own statistics is refused, unless a
module is compiled, which hides it. Losses of tokens or other inner values are not supported: an encoder gives descriptors, and the loss
sees nothing else.

Axes: B pictures of a view, b those of a micro-batch, D entries of a descriptor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.module import register_module_forward_pre_hook

from crossfix.errors import InputError, ModelError, RunError

Encode = Callable[[torch.Tensor], torch.Tensor]
_WHERE = "gradient caching"
_SAME = 0.02  # of the greatest entry: reduced precision and unordered sums stay below, other dropout does not


def gradcache_step(
    encode: Encode | Sequence[Encode],
    loss: Callable[..., torch.Tensor],
    inputs: Sequence[torch.Tensor],
    micro: int,
    backward: Callable[[torch.Tensor], Any] = torch.Tensor.backward,
) -> torch.Tensor:
    """Add the gradients of a loss of all descriptors to the parameters' ``grad``, of the encoders and of the loss.

    Random numbers are replayed: dropout drops in both passes the same, and what it would drop if the micro-batches were described one after
    the other with all activations kept, view after view. Only torch's own numbers on the CPU and on CUDA devices are; an encoder that draws
    others is refused. Where a batch fits into one micro-batch it is described once.

    May run inside an autocast context or encode in one of its own. Every gradient of a parameter goes through ``backward`` once, so that it
    may scale; what it must not do is let processes wait for each other (see `crossfix.train.gather.mean_gradients_` for that).

    Args:
        encode: from pictures (b, ...) to descriptors (b, D); one for all views, or one for each.
        loss: from the descriptors of each view, (B, D), to a scalar. May gather them across processes.
        inputs: pictures of each view, (B, ...); views may differ in size and number.
        micro: pictures of a micro-batch.
        backward: called with scalars in place of ``Tensor.backward``, such as Fabric's.

    Returns:
        The loss, detached.

    Raises:
        InputError: where the micro-batch, the encoders or the loss make no sense.
        ModelError: where an encoder normalises over the batch, or gives something else than descriptors.
        RunError: where an encoder describes the same pictures otherwise the second time.
    """
    if micro < 1:
        raise InputError(f"a micro-batch of {micro} pictures", where=_WHERE, mend="give at least 1")
    encoders = [encode] * len(inputs) if callable(encode) else list(encode)
    if len(encoders) != len(inputs):
        raise InputError(f"{len(encoders)} encoders for {len(inputs)} views", where=_WHERE, mend="give one, or one for each view")
    if all(len(img_BX) <= micro for img_BX in inputs):
        value = _value(loss, [_described(one, img_BX) for one, img_BX in zip(encoders, inputs, strict=True)])
        backward(value)
        return value.detach()

    parts = [
        _Part(view, one, img_bX)
        for view, (one, img_BX) in enumerate(zip(encoders, inputs, strict=True))
        for img_bX in torch.split(img_BX, micro)
    ]
    devices = {img_BX.device for img_BX in inputs if img_BX.device.type == "cuda"}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # the encoder may move pictures there
        devices.add(torch.device("cuda", torch.cuda.current_device()))
    states, found = [], []
    with torch.no_grad(), _RefuseBatchNorm():
        for part in parts:
            states.append(_RandomState(devices))
            found.append(_described(part.encode, part.img_bX))
    # autocast keeps its casts of the weights, in some versions of torch also these, which have no way back to the weights
    torch.clear_autocast_cache()

    views = range(len(inputs))
    desc_BD = [torch.cat([desc for part, desc in zip(parts, found, strict=True) if part.view == view]).requires_grad_() for view in views]
    value = _value(loss, desc_BD)
    grad_BD = torch.autograd.grad(value, desc_BD, retain_graph=True, allow_unused=True)
    backward(value)  # for the loss's own parameters
    result = value.detach()
    del value

    after = _RandomState(devices)
    grads = {view: iter(torch.split(grad, micro)) for view, grad in enumerate(grad_BD) if grad is not None}
    for part, state, before_bD in zip(parts, states, found, strict=True):
        if part.view not in grads:
            continue
        state.restore()
        again_bD = _described(part.encode, part.img_bX)
        _check_same(before_bD, again_bD.detach())
        grad_bD = next(grads[part.view])
        if again_bD.requires_grad:
            with torch.autocast(again_bD.device.type, enabled=False):
                surrogate = (again_bD.to(grad_bD.dtype) * grad_bD).sum()
            backward(surrogate)
        torch.clear_autocast_cache()  # or the casts' graph would live on
    after.restore()
    return result


class _Part(NamedTuple):
    """A micro-batch of one view, and what describes it."""

    view: int
    encode: Encode
    img_bX: torch.Tensor


class _RandomState:
    """Where torch's random numbers stand, on the CPU and on CUDA devices."""

    def __init__(self, devices: set[torch.device]) -> None:
        self._cpu = torch.get_rng_state()
        self._cuda = {device: torch.cuda.get_rng_state(device) for device in devices}

    def restore(self) -> None:
        """Draw from here on."""
        torch.set_rng_state(self._cpu)
        for device, state in self._cuda.items():
            torch.cuda.set_rng_state(state, device)


class _RefuseBatchNorm:
    """While it is entered, a module that is about to normalise by its batch's statistics raises instead."""

    def __enter__(self) -> None:
        self._hook = register_module_forward_pre_hook(_refuse_batch_norm)

    def __exit__(self, *_: object) -> None:
        self._hook.remove()


def _refuse_batch_norm(module: nn.Module, _: Any) -> None:  # noqa: ANN401
    if isinstance(module, _BatchNorm) and (module.training or module.running_mean is None):
        raise ModelError(
            f"{type(module).__name__} normalises by the statistics of its batch, which micro-batches do not have",
            where=_WHERE,
            mend="put it into eval mode, take an encoder without batch normalisation, or let the whole batch be one micro-batch",
        )


def _described(encode: Encode, img_bX: torch.Tensor) -> torch.Tensor:
    desc_bD = encode(img_bX)
    if not isinstance(desc_bD, torch.Tensor) or len(desc_bD) != len(img_bX):
        mend = "give a function from pictures to descriptors; losses of tokens are not supported"
        raise ModelError(f"the encoder does not give a descriptor for each of {len(img_bX)} pictures", where=_WHERE, mend=mend)
    return desc_bD


def _value(loss: Callable[..., torch.Tensor], desc_BD: Sequence[torch.Tensor]) -> torch.Tensor:
    value = loss(*desc_BD)
    if value.numel() != 1 or not value.requires_grad:
        raise InputError(f"the loss {tuple(value.shape)} is no scalar with a gradient", where=_WHERE, mend="give a loss of the descriptors")
    return value


def _check_same(before_bD: torch.Tensor, again_bD: torch.Tensor) -> None:
    difference = float((before_bD.float() - again_bD.float()).abs().max())
    if difference > _SAME * float(before_bD.float().abs().max()):
        raise RunError(
            f"the encoder describes the same pictures otherwise the second time, by {difference:.3g}",
            where=_WHERE,
            mend="let it draw random numbers from torch alone, on the pictures' device, and keep no state between calls",
        )
