"""Keyed random numbers that are the same on every machine and under every version of numpy.

Only the raw stream of PCG64 is used: numpy promises to keep that one, while the methods of its generators may change between versions.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_TABLE = 1 << 16


def key_of(image_id: str, dial: str, seed: int) -> str:
    """The key that everything random in one stressed picture is drawn from: other parts give another key.

    The level is no part of it: at a higher level the same rain falls harder, so that a sweep compares like with like.
    """
    return json.dumps([image_id, dial, int(seed)])


class Draws:
    """A stream of random numbers.

    Args:
        key: another stream for every key.
        purpose: names that tell this stream from others of the same key.
    """

    def __init__(self, key: str, *purpose: str | int) -> None:
        digest = hashlib.blake2b(json.dumps([key, *purpose]).encode(), digest_size=16).digest()
        self._bits = np.random.PCG64(int.from_bytes(digest, "big"))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """One number of [low, high)."""
        return low + (high - low) * float(self.field(1)[0])

    def integer(self, low: int, high: int) -> int:
        """One whole number from low to high, both included."""
        return low + int(self.uniform() * (high - low + 1))

    def field(self, *shape: int) -> Floats:
        """Numbers of [0, 1)."""
        raw = np.asarray(self._bits.random_raw(int(np.prod(shape))), np.uint64)
        return np.asarray((raw >> np.uint64(11)) * 2.0**-53, np.float64).reshape(shape)

    def normal(self, *shape: int) -> npt.NDArray[np.float32]:
        """Normal numbers of mean 0 and deviation 1, of 65,536 equally likely values: none beyond 4.33."""
        count = int(np.prod(shape))
        raw = np.asarray(self._bits.random_raw(-(-count // 4)), "<u8")
        return np.asarray(_quantiles()[raw.view("<u2")[:count]], np.float32).reshape(shape)


@lru_cache(maxsize=1)
def _quantiles() -> npt.NDArray[np.float32]:
    normal = NormalDist()
    upper = [normal.inv_cdf((number + 0.5) / _TABLE) for number in range(_TABLE // 2, _TABLE)]
    return np.asarray([-value for value in reversed(upper)] + upper, np.float32)
