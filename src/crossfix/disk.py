"""Writing files that are whole or not there, reading arrays, configs as JSON values, and checksums: what every room needs."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from crossfix.errors import DiskError

PIECE_BYTES = 2**20
#: Metadata of a config's field that came after the first files with that config: `plain` leaves it out where it holds its default.
LATER = {"later": True}


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turns what the operating system refuses while writing into our error.

    Args:
        path: the file or folder that is written.

    Raises:
        DiskError: the disk is full, the folder is not writable, or the like.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        mend = "free some space or choose another place, then run it again" if full else "choose another place, or mend this one"
        raise DiskError(f"cannot be written ({error.strerror or error})", where=path, mend=mend) from error


def part_of(path: Path) -> Path:
    """The name under which a process writes a file until it is whole: hidden, beside it, and no other process's."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears under its name only when it is written to the end and on the disk.

    Args:
        path: the name it gets; a file that is there is replaced.

    Raises:
        DiskError: it could not be written; nothing of it is left.
    """
    part = part_of(path)
    with disk(path):
        try:
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        if os.name == "posix":  # elsewhere folders cannot be opened, and need not be
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file as `atomic` does; its folder is made.

    Args:
        path: the file.
        content: all of it.

    Raises:
        DiskError: it cannot be written; nothing of it is left.
    """
    with disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as file:
        file.write(content)


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401
    """Write JSON as `write_bytes` does; NaN is refused, as JSON knows none.

    Raises:
        DiskError: as `write_bytes`.
    """
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def plain(config: Any) -> dict[str, Any]:  # noqa: ANN401
    """A config dataclass as reading its JSON back would give it: dicts and lists all the way down.

    Fields marked `LATER` that hold their default are left out: what an older version wrote, which did not know them, stays equal to what
    this one writes, and identities and runs go on.

    Args:
        config: of JSON values, other such dataclasses, and dicts, lists and tuples of both.
    """
    known = {f.name: (f, getattr(config, f.name)) for f in dataclasses.fields(config)}
    return {name: _plain(item) for name, (f, item) in known.items() if not (f.metadata.get("later") and item == f.default)}


def _plain(value: Any) -> Any:  # noqa: ANN401
    if dataclasses.is_dataclass(value):
        return plain(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def append(path: Path, line: bytes) -> None:
    """Adds a line to a file and waits until it is on the disk.

    Args:
        path: the file.
        line: with its end.

    Raises:
        DiskError: it could not be written; a part of the line may be.
    """
    with disk(path), path.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def read_npz(file: Path | BinaryIO) -> dict[str, npt.NDArray[Any]]:
    """All arrays of a file that ``numpy.savez`` has written, none of Python objects.

    Args:
        file: its path, or its content.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, or a damaged one.
    """
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return read_npz(opened)
    if not zipfile.is_zipfile(file):
        raise ValueError("no npz file, or one cut short")
    file.seek(0)
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (EOFError, NotImplementedError, RuntimeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(str(error)) from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
