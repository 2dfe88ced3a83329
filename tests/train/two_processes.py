"""One of the processes of test_gather: python two_processes.py RANK COUNT FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from crossfix.errors import RunError
from crossfix.losses.contrastive import InfoNCE
from crossfix.train.gather import gather, mean_gradients_, share
from crossfix.train.gradcache import gradcache_step

PAIRS = 12


def step(rank: int, count: int, cached: bool) -> dict[str, np.ndarray]:
    """Loss and gradients of the joint batch, of which this process describes its share."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.GELU(), nn.Linear(16, 8))
    unused = nn.Linear(2, 2)
    loss = InfoNCE()
    pictures = torch.randn(2, PAIRS, 3, 2, 2)
    places = torch.arange(PAIRS) // 2 * 3
    mine = torch.from_numpy(share(np.arange(PAIRS), rank, count))

    def describe(img: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(model(img), dim=1)

    def joint(query: torch.Tensor, gallery: torch.Tensor) -> torch.Tensor:
        return loss(gather(query), gather(gallery), gather(places[mine]))

    inputs = [pictures[0][mine], pictures[1][mine]]
    if cached:
        value = gradcache_step(describe, joint, inputs, 4)
    else:
        value = joint(*map(describe, inputs))
        value.backward()
    if rank == 1:
        unused.weight.grad = torch.ones(2, 2)
    mean_gradients_([*model.parameters(), *loss.parameters(), *unused.parameters()])
    grads = [parameter.grad for module in (model, loss) for parameter in module.parameters()]
    found = {str(number): grad.numpy() for number, grad in enumerate(grads)} | {"loss": value.detach().numpy()}
    if unused.weight.grad is not None:
        assert unused.bias.grad is None
        found["unused"] = unused.weight.grad.numpy()
    return found


def main() -> None:
    rank, count, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=count)
    try:
        np.savez(folder / f"plain{rank}.npz", **step(rank, count, cached=False))
        np.savez(folder / f"cached{rank}.npz", **step(rank, count, cached=True))
        said = ""
        try:
            gather(torch.zeros(3 + rank, 2))
        except RunError as error:
            said = str(error)
        numbers = gather(torch.tensor([[rank, 7]])).numpy()
        np.savez(folder / f"other{rank}.npz", said=np.array(said), numbers=numbers)
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
