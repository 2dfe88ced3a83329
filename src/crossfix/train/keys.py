"""Random streams keyed by what they are for, so that a resumed run draws what an uninterrupted one would have drawn."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def key(seed: int, step: int, purpose: str) -> int:
    """A 63-bit number that is another one for every (seed, step, purpose) and the same on every machine."""
    digest = hashlib.blake2b(f"{seed}/{step}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def torch_generator(seed: int, step: int, purpose: str) -> torch.Generator:
    """A CPU generator for one purpose at one step."""
    return torch.Generator().manual_seed(key(seed, step, purpose))


def numpy_generator(seed: int, step: int, purpose: str) -> np.random.Generator:
    """A numpy generator for one purpose at one step."""
    return np.random.default_rng(key(seed, step, purpose))
