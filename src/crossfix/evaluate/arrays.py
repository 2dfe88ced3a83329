"""Descriptors with what is known of their images, from an npz file: what the published protocols are scored on.

Axes: N images, D entries of a descriptor, P ids.
"""

from __future__ import annotations

import math
import mmap
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from crossfix.errors import CrossfixError, DataError
from crossfix.geo.geodesy import check_lonlat

Array = npt.NDArray[Any]
_KINDS = {"floating point": "f", "integers": "iu", "numbers": "fiu"}
_MAPPED_BYTES = 1 << 20  # smaller arrays are read at once
_RESIDENT_BYTES = 64 << 20  # about so much of a mapped array is in memory at a time
_FAULT_BYTES = 2 << 20  # as much the system may bring in around a byte that is asked for


@dataclass(frozen=True)
class DescriptorSet:
    """The queries or the gallery of a benchmark, described.

    Attributes:
        where: the file, for messages.
        features: (N, D) floating point; queries may have several descriptors each, (N, R, D), of which the best counts.
        ids: (N,) integers: what each image shows. A gallery image of id -1 is junk.
        lonlat: (N, 2) degrees, WGS 84.
        xy_m: (N, 2) metres in a plane of the data set's own.
        positives: (N, P) integers: the gallery ids that are right for each query, padded with -1.
        semi_positives: (N, P) integers: those that are neither right nor wrong, padded with -1.

    Raises:
        DataError: where shapes or kinds of numbers are other than these, or a position is none.
    """

    where: str
    features: Array
    ids: Array
    lonlat: Array | None = None
    xy_m: Array | None = None
    positives: Array | None = None
    semi_positives: Array | None = None

    def __post_init__(self) -> None:
        count = len(self.features) if self.features.ndim else 0
        self._check("features", self.features, "floating point", ("N", "R", "D") if self.features.ndim == 3 else ("N", "D"), count)
        if count == 0 or 0 in self.features.shape:
            raise DataError("features are empty", where=self.where, mend="describe at least one image")
        self._check("ids", self.ids, "integers", ("N",), count)
        for name in ("lonlat", "xy_m"):
            self._check(name, getattr(self, name), "numbers", ("N", "2"), count)
        for name in ("positives", "semi_positives"):
            self._check(name, getattr(self, name), "integers", ("N", "P"), count)
            self._check_range(name)
        self._check_range("ids")
        self._check_positions()

    def _check(self, name: str, array: Array | None, kind: str, axes: tuple[str, ...], count: int) -> None:
        if array is None:
            return
        wanted = f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
        fits = array.ndim == len(axes) and len(array) == count and (axes[-1] != "2" or array.shape[1] == 2)
        if not fits:
            raise DataError(f"{name} have the shape {array.shape} instead of {wanted} with N = {count}", where=self.where)
        if array.dtype.kind not in _KINDS[kind]:
            raise DataError(f"{name} are {array.dtype}, not {kind}", where=self.where, mend=f"store them as {kind}")

    def _check_range(self, name: str) -> None:
        # signed and unsigned integers compare by way of float64, which tells large ones not apart
        array = getattr(self, name)
        if array is not None:
            if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
                raise DataError(f"{name} hold numbers beyond 64 bits with a sign", where=self.where, mend="number the images anew")
            object.__setattr__(self, name, array.astype(np.int64, copy=False))

    def _check_positions(self) -> None:
        if self.xy_m is not None and not np.isfinite(self.xy_m).all():
            row = int(np.argwhere(~np.isfinite(self.xy_m))[0, 0])
            raise DataError(f"the position of image {row} in xy_m is not finite", where=self.where)
        if self.lonlat is not None:
            with np.errstate(invalid="ignore"):
                wrong = ~(np.abs(self.lonlat) <= [180, 90]).all(axis=1)
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                try:
                    check_lonlat(float(self.lonlat[row, 0]), float(self.lonlat[row, 1]))
                except CrossfixError as error:
                    raise DataError(f"lonlat of image {row}: {error.what}", where=self.where, mend=error.mend) from error


def read_descriptors(path: Path, needs: Sequence[str] = ()) -> DescriptorSet:
    """Read a file that ``numpy.savez`` has written.

    Large arrays of files that are not compressed are mapped, not read, and passed over part by part: a gallery may be larger than the
    memory.

    Args:
        path: the file; arrays of other names in it are passed over.
        needs: names of arrays that must be there beside ``features`` and ``ids``.

    Raises:
        DataError: where the file is missing, damaged or no npz file, holds Python objects, or lacks an array.
    """
    if not path.is_file():
        raise DataError("there is no such file", where=path, mend="give an npz file with features and ids")
    known = ("features", "ids", "lonlat", "xy_m", "positives", "semi_positives")
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            missing = [name for name in ("features", "ids", *needs) if name not in members]
            if missing:
                there = ", ".join(sorted(members)) or "nothing"
                raise DataError(f"holds no {' and no '.join(missing)} (but {there})", where=path, mend="add them with numpy.savez")
            arrays = {name: _read(path, archive, members[name]) for name in known if name in members}
    except zipfile.BadZipFile as error:
        raise DataError("is no npz file, or a damaged one", where=path, mend="write it with numpy.savez") from error
    except (ValueError, EOFError, OSError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise DataError(f"cannot be read ({error})", where=path, mend="write it again with numpy.savez, plain arrays only") from error
    return DescriptorSet(str(path), **arrays)


def _read(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if info.compress_type == zipfile.ZIP_STORED and info.file_size >= _MAPPED_BYTES and version in ((1, 0), (2, 0)):
            return _map(path, info, member, version)
    with archive.open(info) as member:
        array: Array = np.lib.format.read_array(member, allow_pickle=False)
        return array


def _map(path: Path, info: zipfile.ZipInfo, member: IO[bytes], version: tuple[int, int]) -> Array:
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(member)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    with path.open("rb") as file:
        # the length of the name and of the extra field may differ between a member's own header and the directory's
        file.seek(info.header_offset + 26)
        lengths = file.read(4)
    start = info.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
    return _Mapped(path, dtype, "r", start + member.tell(), shape, "F" if fortran else "C")


class _Mapped(np.memmap[Any, Any]):
    """An array in a file whose pages are given back as others are asked for, so that a pass over it does not fill the memory.

    What was handed out stays valid: the system brings pages that are read again back from its cache or the file.
    """

    _handed: list[int]

    def __array_finalize__(self, obj: Any) -> None:  # noqa: ANN401 - as numpy has it
        super().__array_finalize__(obj)
        self._handed = getattr(obj, "_handed", [0])

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401
        part = super().__getitem__(key)
        mapping = getattr(self, "_mmap", None)
        if mapping is None or not isinstance(part, np.ndarray):
            return part
        if part.base is not None and part.nbytes == self.nbytes and np.may_share_memory(part, self):
            return part  # all of it, in another shape
        rows = math.prod(part.shape[:-1])
        self._handed[0] += part.nbytes if np.may_share_memory(part, self) else rows * max(_FAULT_BYTES, part.nbytes // max(rows, 1))
        if self._handed[0] > _RESIDENT_BYTES and hasattr(mmap, "MADV_DONTNEED"):
            mapping.madvise(mmap.MADV_DONTNEED)
            self._handed[0] = 0
        return np.asarray(part)
