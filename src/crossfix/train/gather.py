"""Descriptors of all processes in one batch, with gradients: every process sees the negatives of all.

Each process describes its share of the joint batch, gathers all descriptors, and takes the loss of the joint batch; the gradients are then
averaged over the processes. Loss and gradients are those of a single process with the joint batch, as are those of the loss's own
parameters. Works with any back end of torch.distributed that has all_gather and all_reduce, gloo and nccl among them.

Axes: B rows of a process, J = processes x B rows of the joint batch, in the order of the processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist

from crossfix.errors import InputError, RunError

_Kind = TypeVar("_Kind", bound=np.generic)
_BUCKET = 1 << 22  # numbers that are averaged at a time
_MOST_AXES = 7


def processes() -> int:
    """How many there are: 1 outside of torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def share(rows_J: npt.NDArray[_Kind], rank: int, count: int) -> npt.NDArray[_Kind]:
    """The rows of the joint batch that are a process's own: `gather` puts them together again in their order.

    Args:
        rows_J: the joint batch.
        rank: of the process.
        count: of processes.

    Raises:
        InputError: where the batch cannot be parted into equal shares.
    """
    if len(rows_J) % count:
        what = f"a batch of {len(rows_J)} cannot be shared among {count} processes"
        raise InputError(what, where="training config", mend="make batch a multiple of the processes")
    each = len(rows_J) // count
    return rows_J[rank * each : (rank + 1) * each]


def gather(tensor_BX: torch.Tensor) -> torch.Tensor:
    """The rows of all processes, (J, ...), with gradients where a tensor has any; in a single process the tensor itself.

    A row's gradient is the sum of what the losses of all processes want of it, so that parameters' gradients have to be averaged after, by
    `mean_gradients_` or by DistributedDataParallel. Every process has to call this equally often and in the same order.

    Args:
        tensor_BX: of the same shape in all processes.

    Raises:
        RunError: in all processes, where shapes differ.
    """
    if processes() == 1:
        return tensor_BX
    _check_shapes(tensor_BX)
    if tensor_BX.requires_grad and torch.is_grad_enabled():
        joint_JX: torch.Tensor = _Gather.apply(tensor_BX)
        return joint_JX
    return _gathered(tensor_BX.detach())


def mean_gradients_(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Average the parameters' gradients over all processes, in place; a process without a gradient counts as zero.

    Every process has to call this with the same parameters in the same order.

    Args:
        parameters: those without a gradient in any process are left without.
    """
    count = processes()
    wanted = [parameter for parameter in parameters if parameter.requires_grad]
    if count == 1 or not wanted:
        return
    present = torch.tensor([parameter.grad is not None for parameter in wanted], dtype=torch.int32, device=wanted[0].device)
    dist.all_reduce(present, op=dist.ReduceOp.MAX)
    bucket: list[torch.Tensor] = []
    for parameter, some in zip(wanted, present.tolist(), strict=True):
        if some:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if bucket and (parameter.grad.dtype != bucket[0].dtype or sum(grad.numel() for grad in bucket) > _BUCKET):
                _average_(bucket, count)
                bucket = []
            bucket.append(parameter.grad)
    if bucket:
        _average_(bucket, count)


class _Gather(torch.autograd.Function):
    """`gather` for autograd: backward sums the joint batch's gradients over the processes and takes the own rows."""

    @staticmethod
    def forward(ctx: Any, tensor_BX: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
        ctx.rows = len(tensor_BX)
        return _gathered(tensor_BX)

    @staticmethod
    def backward(ctx: Any, grad_JX: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
        # not reduce_scatter: gloo does not have it everywhere, and descriptors are small
        grad_JX = grad_JX.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(grad_JX)
        return grad_JX.narrow(0, dist.get_rank() * ctx.rows, ctx.rows)


def _gathered(tensor_BX: torch.Tensor) -> torch.Tensor:
    tensor_BX = tensor_BX.contiguous()
    all_BX = [torch.empty_like(tensor_BX) for _ in range(processes())]
    dist.all_gather(all_BX, tensor_BX)
    return torch.cat(all_BX)


def _check_shapes(tensor_BX: torch.Tensor) -> None:
    """Differing shapes would hang some back ends, and mix up rows in others."""
    if not 1 <= tensor_BX.ndim <= _MOST_AXES:
        raise InputError(f"a tensor of {tensor_BX.ndim} axes cannot be gathered", where="gather", mend="give one of rows")
    mine = torch.zeros(1, _MOST_AXES, dtype=torch.int64)
    mine[0, : tensor_BX.ndim] = torch.tensor(tensor_BX.shape)
    shapes = _gathered(mine.to(tensor_BX.device)).tolist()
    if any(shape != shapes[0] for shape in shapes):
        listed = " and ".join(sorted({str(tuple(size for size in shape if size)) for shape in shapes}))
        raise RunError(f"the processes hold batches of shapes {listed}", where="gather", mend="give every process as many pairs")


def _average_(grads: list[torch.Tensor], count: int) -> None:
    flat = torch.cat([grad.reshape(-1) for grad in grads])
    dist.all_reduce(flat)
    flat /= count
    for grad, mean in zip(grads, torch.split(flat, [grad.numel() for grad in grads]), strict=True):
        grad.copy_(mean.view_as(grad))
