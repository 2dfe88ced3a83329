from __future__ import annotations

import hashlib

import numpy as np
import pytest


def made(height: int, width: int) -> np.ndarray:
    """Fields, roads and roofs: blocks of colour with some grain, from bytes that no library draws."""
    grain = np.frombuffer(hashlib.shake_128(b"grain").digest(height * width * 3), np.uint8).reshape(height, width, 3)
    blocks = np.frombuffer(hashlib.shake_128(b"blocks").digest(8 * 8 * 3), np.uint8).reshape(8, 8, 3)
    large = blocks[np.arange(height)[:, None] * 8 // height, np.arange(width) * 8 // width]
    return (large.astype(int) * 5 // 8 + 30 + grain // 8).astype(np.uint8)


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    found = made(48, 64)
    found.setflags(write=False)
    return found


@pytest.fixture(scope="session")
def large_picture() -> np.ndarray:
    return made(101, 131)  # sides that no block or grid divides
