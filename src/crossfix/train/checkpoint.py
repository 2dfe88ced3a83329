"""Checkpoints of a run: tensors in safetensors, the rest in JSON, replaced in one atomic step.

``checkpoint.json`` names the file of tensors it belongs to. That file is written and flushed to disk first, so a kill at any moment leaves
a checkpoint that is whole: the old one or the new one. Only the last is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from crossfix.disk import sha256, write_bytes, write_json
from crossfix.errors import RunError
from crossfix.train.files import read_json

_START_AGAIN = "delete the checkpoint's files to start the run again"


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        step: optimiser steps done.
        seconds: spent so far, restarts added up.
        best: the best validation so far, with its step; empty before the first.
    """

    step: int = 0
    seconds: float = 0.0
    best: dict[str, Any] = field(default_factory=dict)


def tensors_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """A module's parameters and buffers, contiguous on the CPU, as safetensors wants them."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}


def save_checkpoint(
    folder: Path,
    progress: Progress,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    best: dict[str, torch.Tensor],
) -> None:
    """Write the run's state and forget the checkpoint before.

    Args:
        folder: the run folder.
        progress: where the run stands.
        modules: what carries weights, by name.
        optimizers: their moments are kept, by name.
        best: tensors of the best model so far.

    Raises:
        DiskError: where it cannot be written; the checkpoint before is still whole then.
    """
    tensors = {f"{name}/{key}": tensor for name, module in modules.items() for key, tensor in tensors_of(module).items()}
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}/{index}/{key}": tensor.detach().cpu().contiguous() for key, tensor in state.items()}
    tensors |= {f"best/{key}": tensor for key, tensor in best.items()}
    path = folder / f"checkpoint-{progress.step}.safetensors"
    write_bytes(path, save(tensors))
    record = {"file": path.name, "sha256": sha256(path), "step": progress.step, "seconds": progress.seconds, "best": progress.best}
    write_json(folder / "checkpoint.json", record)
    for old in folder.glob("checkpoint-*.safetensors"):
        if old != path:
            old.unlink()


def load_checkpoint(
    folder: Path, modules: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]
) -> tuple[Progress, dict[str, torch.Tensor]]:
    """Put the state of the last checkpoint, if there is one, into the modules and the optimisers.

    Returns:
        Where the run stands (step 0 without a checkpoint) and the tensors of its best model.

    Raises:
        RunError: where the checkpoint is damaged or belongs to other modules.
    """
    record_path = folder / "checkpoint.json"
    if not record_path.exists():
        return Progress(), {}
    record = read_json(record_path)
    path = folder / str(record.get("file"))
    if not path.is_file() or sha256(path) != record.get("sha256"):
        raise RunError("the checkpoint is missing or damaged", where=path, mend=_START_AGAIN)
    try:
        tensors = load_file(path)
        for name, module in modules.items():
            module.load_state_dict(_under(tensors, name))
        for name, optimizer in optimizers.items():
            _load_optimizer(optimizer, _under(tensors, name))
        progress = Progress(record["step"], record["seconds"], record["best"])
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise RunError(f"the checkpoint does not fit this version ({error})", where=path, mend=_START_AGAIN) from error
    return progress, _under(tensors, "best")


def _under(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(f"{name}/"): tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Restore the moments in the memory layout of their parameters: sums in another order would end in other bits."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, parameter in enumerate(parameters):
        state = {key: tensor.to(parameter.device) for key, tensor in _under(tensors, str(index)).items()}
        optimizer.state[parameter] = {
            key: torch.empty_like(parameter).copy_(tensor) if tensor.shape == parameter.shape and key != "step" else tensor
            for key, tensor in state.items()
        }
