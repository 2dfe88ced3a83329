"""What a format's file says: which model of ours a checkpoint becomes, and how."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch

from crossfix.models.gengeo import ArchConfig
from crossfix.models.importers.naming import Sources

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Plan:
    """Which model a checkpoint becomes.

    Attributes:
        form: which of its published forms the file has, in words.
        architecture: with the sizes told from the tensors.
        sources: where each of the model's tensors comes from.
        unneeded: the file's names that may be there and are not used.
        head_trained: whether the file holds the head as well, or the head has nothing to train.
    """

    form: str
    architecture: ArchConfig
    sources: Sources
    unneeded: Collection[str] = ()
    head_trained: bool = True
