"""Clouds on disk: a format a suffix, whole files or none, one sentence for what cannot be read.

===================  ======================================================================
``points3D.txt``     COLMAP, text; the layout that GeoLink publishes
``points3D.bin``     COLMAP, binary
``.ply``             ascii or binary
``.laz``, ``.las``   with the extra ``crossfix[las]``
``.npz``             arrays ``xyz``, ``rgb`` (may be missing) and ``frame``
===================  ======================================================================

COLMAP's files do not say what their axes mean; ``cloud.json`` beside them does, where crossfix wrote it.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from crossfix.clouds.cloud import Cloud, Frame, frame_named
from crossfix.clouds.colmap_points import format_binary, format_text, parse_binary, parse_text
from crossfix.clouds.las import format_las, parse_las
from crossfix.clouds.ply import format_ply, parse_ply
from crossfix.disk import read_npz, write_bytes
from crossfix.errors import DataError, InputError

POINTS_TEXT, POINTS_BINARY, NOTE = "points3D.txt", "points3D.bin", "cloud.json"
SUFFIXES = (".txt", ".bin", ".ply", ".laz", ".las", ".npz")
_MEND = "write or download it again"


def read_cloud(path: Path) -> Cloud:
    """Read a cloud.

    Args:
        path: of a file, or of a folder that holds ``points3D.txt`` or ``points3D.bin``.

    Raises:
        InputError: the suffix is of no format that we know, or laspy is not installed.
        DataError: the file is missing, damaged, of another version, empty, or holds NaN.
    """
    file = _file(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=file, mend="check the path") from error
    try:
        return _parse(file, content)
    except DataError as error:
        raise DataError(error.what, where=error.where or file, mend=error.mend or _MEND) from error
    except InputError as error:
        raise InputError(error.what, where=file, mend=error.mend) from error


def write_cloud(path: Path, cloud: Cloud, *, text: bool = False) -> None:
    """Write a cloud; the file appears when it is whole.

    Args:
        path: the file; its suffix says the format.
        cloud: the cloud.
        text: PLY as ascii.

    Raises:
        InputError: the suffix is of no format that we know, laspy is not installed, or the format cannot hold the cloud.
        DiskError: it cannot be written.
    """
    if path.suffix == ".txt":
        content = format_text(cloud)
    elif path.suffix == ".bin":
        content = format_binary(cloud)
    elif path.suffix == ".ply":
        content = format_ply(cloud, text=text)
    elif path.suffix in {".laz", ".las"}:
        content = format_las(cloud, packed=path.suffix == ".laz")
    elif path.suffix == ".npz":
        content = _format_npz(cloud)
    else:
        raise _no_format(path)
    write_bytes(path, content)


def read_note(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        DataError: it cannot be read or is no object.
    """
    try:
        note = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error})", where=path, mend="delete it and build the cloud again") from error
    if not isinstance(note, dict):
        raise DataError("holds no JSON object", where=path, mend="delete it and build the cloud again")
    return note


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in (POINTS_TEXT, POINTS_BINARY):
        if (path / name).is_file():
            return path / name
    raise DataError(f"holds neither {POINTS_TEXT} nor {POINTS_BINARY}", where=path, mend="give the file of a cloud")


def _parse(file: Path, content: bytes) -> Cloud:
    if file.suffix == ".txt":
        return parse_text(content, _noted(file))
    if file.suffix == ".bin":
        return parse_binary(content, _noted(file))
    if file.suffix == ".ply":
        return parse_ply(content)
    if file.suffix in {".laz", ".las"}:
        return parse_las(content)
    if file.suffix == ".npz":
        return _parse_npz(content)
    raise _no_format(file)


def _noted(file: Path) -> Frame:
    note = file.with_name(NOTE)
    return frame_named(str(read_note(note).get("frame"))) if note.is_file() else "free"


def _parse_npz(content: bytes) -> Cloud:
    try:
        arrays = read_npz(io.BytesIO(content))
        xyz = arrays["xyz"].astype(np.float64)
    except KeyError as error:
        raise DataError("is not a cloud as npz (it holds no array named xyz)") from error
    except (ValueError, TypeError) as error:
        raise DataError(f"is not a cloud as npz ({error})") from error
    rgb = arrays.get("rgb")
    frame = str(arrays["frame"]) if "frame" in arrays else "free"
    return Cloud(xyz, rgb, frame_named(frame))


def _format_npz(cloud: Cloud) -> bytes:
    file = io.BytesIO()
    arrays: dict[str, Any] = {"xyz": cloud.xyz_N3, "frame": np.array(cloud.frame)}
    if cloud.rgb_N3 is not None:
        arrays["rgb"] = cloud.rgb_N3
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _no_format(path: Path) -> InputError:
    return InputError(f"clouds are not stored as {path.suffix or 'files without a suffix'}", where=path, mend=f"use {', '.join(SUFFIXES)}")
