"""The processes of one run, as ``torchrun`` starts them: one by one where they write, together where they train.

Each has all weights and a part of every batch; see `gather`. On panoramas they end with the weights that a single process would have had,
up to the order of summation and to dropout. Drone pairs are augmented with other draws, and batch norms see each process's part alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist

from crossfix.train.gather import share
from crossfix.train.source import Part


@dataclass(frozen=True)
class Process:
    """This process among those of a run.

    Attributes:
        rank: from 0; the first one writes.
        count: of processes.
        local: rank on this machine, which is the number of its GPU.
    """

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def part(self, batch: int) -> Part:
        """Which rows of a batch are this process's own.

        Raises:
            InputError: where a batch cannot be parted into equal shares.
        """
        rows = share(np.arange(batch), self.rank, self.count)
        return int(rows[0]), len(rows)

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """The first process goes through the block alone, then the others do."""
        if not self.first:
            self._wait()
        try:
            yield
        finally:
            if self.first:
                self._wait()

    def _wait(self) -> None:
        if self.count > 1:
            dist.barrier()


@contextmanager
def joined() -> Iterator[Process]:
    """Join the processes that ``torchrun`` has started, or be alone; the group is left at the end."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Process()
        return
    process = Process(int(os.environ["RANK"]), count, int(os.environ.get("LOCAL_RANK", "0")))
    ours = not dist.is_initialized()
    if ours:
        if torch.cuda.is_available():
            torch.cuda.set_device(process.local)
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield process
    finally:
        if ours:
            dist.destroy_process_group()
