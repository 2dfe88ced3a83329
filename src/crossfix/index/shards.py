"""Descriptors on disk: one matrix in files of equal height, mapped into memory and checked when first touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossfix.disk import atomic, sha256
from crossfix.errors import MapIndexError

Matrix: TypeAlias = NDArray[np.float16]

MEND = "build the index again with crossfix map build --overwrite"


@dataclass(frozen=True)
class Shard:
    """One file of descriptors.

    Args:
        name: its path within the index folder.
        rows: how many descriptors it holds.
        sha256: its checksum.
    """

    name: str
    rows: int
    sha256: str


def write_shard(folder: Path, name: str, desc_BD: Matrix) -> Shard:
    """Writes a file of descriptors.

    Args:
        folder: the index folder.
        name: the file's path within it.
        desc_BD: (B, D) float16.

    Raises:
        DiskError: it could not be written.
    """
    path = folder / name
    with atomic(path) as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": desc_BD.shape})
        # Not array.tofile: it hides why the disk refused.
        file.write(np.ascontiguousarray(desc_BD, dtype="<f2").tobytes())
    return Shard(name, int(desc_BD.shape[0]), sha256(path))


class Descriptors:
    """The (N, D) float16 descriptors of an index; rows are those of its chips.

    Files are mapped, not loaded; each is compared with its checksum when it is first touched.

    Args:
        folder: the index folder.
        shards: its files in the order of the rows.
        dim: D.
    """

    dtype = np.dtype(np.float16)

    def __init__(self, folder: Path, shards: Sequence[Shard], dim: int) -> None:
        self._folder = folder
        self.shards = tuple(shards)
        self._mapped: list[Matrix | None] = [None] * len(self.shards)
        self._starts = np.concatenate([[0], np.cumsum([shard.rows for shard in self.shards])]).astype(np.int64)
        self.shape = (int(self._starts[-1]), dim)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Matrix:
        """Chosen rows, copied into memory.

        Args:
            rows: a slice, or (M,) row numbers in any order.

        Raises:
            MapIndexError: a file is damaged.
        """
        index = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows, dtype=np.int64)
        out = np.empty((len(index), self.shape[1]), dtype=np.float16)
        which = np.searchsorted(self._starts, index, side="right") - 1
        for shard in np.unique(which):
            chosen = which == shard
            out[chosen] = self._open(int(shard))[index[chosen] - self._starts[shard]]
        return out

    def blocks(self) -> Iterator[tuple[int, Matrix]]:
        """All descriptors, file by file.

        Yields:
            The number of the first row, and (rows, D) mapped descriptors.

        Raises:
            MapIndexError: a file is damaged.
        """
        for shard in range(len(self.shards)):
            yield int(self._starts[shard]), self._open(shard)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401 - numpy's own protocol
        return self[:] if dtype is None else self[:].astype(dtype)

    def check(self) -> None:
        """Compares every file with its checksum.

        Raises:
            MapIndexError: a file is damaged.
        """
        for _ in self.blocks():
            pass

    def _open(self, number: int) -> Matrix:
        mapped = self._mapped[number]
        if mapped is None:
            mapped = self._mapped[number] = open_shard(self._folder, self.shards[number], self.shape[1])
        return mapped


def open_shard(folder: Path, shard: Shard, dim: int) -> Matrix:
    """Maps a file of descriptors after comparing it with its checksum.

    Args:
        folder: the index folder.
        shard: what the file should be.
        dim: entries of a descriptor.

    Returns:
        (rows, D) float16, read only.

    Raises:
        MapIndexError: the file is missing or damaged.
    """
    path = folder / shard.name
    try:
        whole = sha256(path) == shard.sha256
        mapped: Any = np.load(path, mmap_mode="r", allow_pickle=False) if whole else None
    except (OSError, ValueError) as error:
        raise MapIndexError("the descriptors cannot be read", where=path, mend=MEND) from error
    if mapped is None or mapped.shape != (shard.rows, dim) or mapped.dtype != np.float16:
        raise MapIndexError("the descriptors are damaged: their checksum is another one", where=path, mend=MEND)
    return np.asarray(mapped)
