"""Writing the files of a run so that a reader finds the old content or the new one, never a half."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from crossfix.errors import DiskError, RunError


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically, making its folder.

    Raises:
        DiskError: where the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise DiskError(f"cannot be written ({error.strerror})", where=path, mend="free some space or choose another folder") from error


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401
    """Write JSON atomically; NaN is refused, as JSON knows none.

    Raises:
        DiskError: as :func:`write_bytes`.
    """
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a run.

    Raises:
        RunError: where it cannot be read or is no object.
    """
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"cannot be read ({error})", where=path, mend="start again in an empty folder") from error
    if not isinstance(value, dict):
        raise RunError("holds no JSON object", where=path, mend="start again in an empty folder")
    return value


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
