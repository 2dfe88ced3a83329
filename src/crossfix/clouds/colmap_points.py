"""COLMAP's ``points3D.txt`` and ``points3D.bin`` (https://colmap.github.io/format.html), colours and positions alone.

Text: comment lines, then a line a point ``ID X Y Z R G B ERROR`` and its track, pairs of image and feature. Binary: a uint64 count, then
for each point uint64 id, 3 doubles, 3 bytes, a double error, a uint64 length of track and as many pairs of uint32; little endian.
What is written has no tracks and an error of -1, COLMAP's own mark for one that is unknown.
"""

from __future__ import annotations

import struct

import numpy as np

from crossfix.clouds.cloud import Cloud, Colours, Frame, Points
from crossfix.errors import DataError

_HEAD = struct.Struct("<Q3d3BdQ")
_COLUMNS = 8
_OTHER = "is not a points3D file as COLMAP 3 and 4 write it"
# The published GeoLink loader skips three lines, whatever they hold.
_HEADER = (
    "# 3D point list with one line of data per point:\n"
    "#   POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)\n"
    "# Number of points: {count}, mean track length: 0\n"
)


def parse_text(content: bytes, frame: Frame = "free") -> Cloud:
    """Read ``points3D.txt``.

    Args:
        content: of the file.
        frame: of the cloud; the format says nothing of it.

    Raises:
        DataError: naming the first line that is not a point of this format, or as :class:`Cloud`.
    """
    try:
        lines = content.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{_OTHER}: it holds bytes that are no text") from error
    values, colours = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        try:
            if len(words) < _COLUMNS or len(words) % 2:
                raise ValueError(f"{len(words)} columns, not {_COLUMNS} and pairs")
            values.append((float(words[1]), float(words[2]), float(words[3])))
            float(words[7])  # a line that is cut off may have all its columns
            colours.append(bytes((int(words[4]), int(words[5]), int(words[6]))))
        except ValueError as error:
            raise DataError(f"{_OTHER}: line {number} ({error})") from error
    rgb = np.frombuffer(b"".join(colours), np.uint8).reshape(-1, 3)
    return Cloud(np.array(values, np.float64).reshape(-1, 3), rgb, frame)


def parse_binary(content: bytes, frame: Frame = "free") -> Cloud:
    """Read ``points3D.bin``.

    Args:
        content: of the file.
        frame: of the cloud; the format says nothing of it.

    Raises:
        DataError: the file ends too early or goes on too long, or as :class:`Cloud`.
    """
    count = struct.unpack_from("<Q", content)[0] if len(content) >= 8 else -1
    if not 0 <= count <= len(content) // _HEAD.size:
        raise DataError(f"{_OTHER}: its count does not go with its {len(content):,} bytes")
    xyz, rgb = np.empty((count, 3)), np.empty((count, 3), np.uint8)
    at = 8
    for row in range(count):
        if at + _HEAD.size > len(content):
            raise DataError(f"{_OTHER}: it ends within point {row + 1:,} of {count:,}")
        found = _HEAD.unpack_from(content, at)
        xyz[row], rgb[row] = found[1:4], found[4:7]
        at += _HEAD.size + 8 * int(found[8])
    if at != len(content):
        how = "ends too early" if at > len(content) else "goes on after its last point"
        raise DataError(f"{_OTHER}: it {how}")
    return Cloud(xyz, rgb, frame)


def format_text(cloud: Cloud) -> bytes:
    """A cloud as ``points3D.txt``; a cloud without colours is grey. Numbers are written in full: they are read back the same."""
    lines = [_HEADER.format(count=len(cloud))]
    for number, ((x, y, z), (r, g, b)) in enumerate(zip(cloud.xyz_N3.tolist(), _colours(cloud).tolist(), strict=True), start=1):
        lines.append(f"{number} {x!r} {y!r} {z!r} {r} {g} {b} -1\n")
    return "".join(lines).encode("ascii")


def format_binary(cloud: Cloud) -> bytes:
    """A cloud as ``points3D.bin``; a cloud without colours is grey."""
    kind = np.dtype([("id", "<u8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8"), ("track", "<u8")])
    rows = np.zeros(len(cloud), kind)
    rows["id"], rows["xyz"], rows["rgb"], rows["error"] = np.arange(1, len(cloud) + 1), cloud.xyz_N3, _colours(cloud), -1.0
    return struct.pack("<Q", len(cloud)) + rows.tobytes()


def _colours(cloud: Cloud) -> Colours:
    return np.full((len(cloud), 3), 128, np.uint8) if cloud.rgb_N3 is None else cloud.rgb_N3


def rounded(xyz_N3: Points) -> Points:
    """Positions to a millionth of the cloud's extent: a text file of them is half as long and says as much.

    Args:
        xyz_N3: (N, 3) in any unit.
    """
    extent = float(np.ptp(xyz_N3, axis=0).max())
    decimals = 6 if extent <= 0 else int(np.clip(6 - np.floor(np.log10(extent)), 0, 12))
    return np.asarray(np.round(xyz_N3, decimals))
