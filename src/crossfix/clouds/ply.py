"""PLY files: the vertices' x, y, z and red, green, blue; ascii and binary. Other elements and properties are passed over.

Source of the format: G. Turk, The PLY Polygon File Format (1994). The frame is kept in a comment ``crossfix frame NAME``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from crossfix.clouds.cloud import Cloud, Frame, frame_named
from crossfix.errors import DataError

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_ORDER = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}
_COMMENT = "crossfix frame "


@dataclass
class _Element:
    name: str
    count: int
    properties: list[tuple[str, str]] = field(default_factory=list)
    has_list: bool = False


def parse_ply(content: bytes) -> Cloud:
    """Read a PLY file.

    Raises:
        DataError: the header cannot be understood, the vertices have no positions or end too early, or as :class:`Cloud`.
    """
    head, body = _split(content)
    order, frame, elements = _header(head)
    vertex = next((element for element in elements if element.name == "vertex"), None)
    if vertex is None or not {"x", "y", "z"} <= {name for name, _ in vertex.properties}:
        raise DataError("is a PLY file without vertices that have x, y and z")
    if len({name for name, _ in vertex.properties}) < len(vertex.properties):
        raise DataError("is a PLY file whose vertices have two properties of one name")
    before = elements[: elements.index(vertex)]
    if vertex.has_list or (order != "=" and any(element.has_list for element in before)):
        raise DataError("is a PLY file with a list before or in its vertices, which crossfix does not read")
    table = _ascii(body, before, vertex) if order == "=" else _binary(body, order, before, vertex)
    xyz = np.stack([table[name].astype(np.float64) for name in ("x", "y", "z")], axis=1)
    rgb = None
    if {"red", "green", "blue"} <= set(table):
        channels = [table[name] for name in ("red", "green", "blue")]
        if any(channel.dtype != np.uint8 for channel in channels):
            raise DataError(f"is a PLY file with colours of type {channels[0].dtype}, not uchar")
        rgb = np.stack(channels, axis=1)
    return Cloud(xyz, rgb, frame)


def format_ply(cloud: Cloud, *, text: bool = False) -> bytes:
    """A cloud as a PLY file, positions as doubles.

    Args:
        cloud: the cloud.
        text: ascii, rather than binary little endian.
    """
    colours = [] if cloud.rgb_N3 is None else [f"property uchar {name}" for name in ("red", "green", "blue")]
    head = ["ply", f"format {'ascii' if text else 'binary_little_endian'} 1.0", f"comment {_COMMENT}{cloud.frame}"]
    head += [f"element vertex {len(cloud)}", *(f"property double {name}" for name in "xyz"), *colours, "end_header\n"]
    start = "\n".join(head).encode("ascii")
    if text:
        rgb = [[]] * len(cloud) if cloud.rgb_N3 is None else cloud.rgb_N3.tolist()
        lines = (" ".join(map(repr, [*point, *colour])) for point, colour in zip(cloud.xyz_N3.tolist(), rgb, strict=True))
        return start + ("\n".join(lines) + "\n").encode("ascii")
    kinds = [("xyz", "<f8", 3)] + ([] if cloud.rgb_N3 is None else [("rgb", "u1", 3)])
    rows = np.empty(len(cloud), np.dtype(kinds))
    rows["xyz"] = cloud.xyz_N3
    if cloud.rgb_N3 is not None:
        rows["rgb"] = cloud.rgb_N3
    return start + rows.tobytes()


def _split(content: bytes) -> tuple[list[str], bytes]:
    clean = content.replace(b"\r\n", b"\n", 1) if content.startswith(b"ply\r\n") else content
    if not clean.startswith(b"ply\n"):
        raise DataError("is not a PLY file")
    end = content.find(b"end_header")
    line_end = content.find(b"\n", end)
    if end < 0 or line_end < 0:
        raise DataError("is a PLY file whose header does not end")
    try:
        return content[:end].decode("ascii").splitlines(), content[line_end + 1 :]
    except UnicodeDecodeError as error:
        raise DataError("is a PLY file whose header is no text") from error


def _header(lines: list[str]) -> tuple[str, Frame, list[_Element]]:
    order, frame = "", "free"
    elements: list[_Element] = []
    for line in lines[1:]:
        words = line.split()
        try:
            match words:
                case []:
                    pass
                case ["format", name, version]:
                    if name not in _ORDER or version != "1.0":
                        raise DataError(f"is a PLY file of format {name} {version}, not ascii or binary 1.0")
                    order = _ORDER[name]
                case ["comment", *_]:
                    frame = line.split(_COMMENT, 1)[1].strip() if _COMMENT in line else frame
                case ["obj_info", *_]:
                    pass
                case ["element", name, count]:
                    elements.append(_Element(name, int(count)))
                case ["property", "list", _, _, _]:
                    elements[-1].has_list = True
                case ["property", kind, name]:
                    elements[-1].properties.append((name, _TYPES[kind]))
                case _:
                    raise ValueError
        except (ValueError, KeyError, IndexError) as error:
            raise DataError(f"is a PLY file whose header cannot be understood at {line!r}") from error
    if not order or any(element.count < 0 for element in elements):
        raise DataError("is a PLY file whose header has no format, or a negative count")
    return order, frame_named(frame), elements


def _ascii(body: bytes, before: list[_Element], vertex: _Element) -> dict[str, npt.NDArray[np.generic]]:
    try:
        lines = body.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise DataError("is an ascii PLY file with bytes that are no text") from error
    start = sum(element.count for element in before)
    rows = [line.split() for line in lines[start : start + vertex.count]]
    if len(rows) < vertex.count or any(len(row) != len(vertex.properties) for row in rows):
        raise DataError(f"is a PLY file that ends too early or has an uneven line: its header promises {vertex.count:,} vertices")
    try:
        return {name: np.array([row[i] for row in rows]).astype(kind) for i, (name, kind) in enumerate(vertex.properties)}
    except (ValueError, OverflowError) as error:
        raise DataError(f"is an ascii PLY file with a value that is no number ({error})") from error


def _binary(body: bytes, order: str, before: list[_Element], vertex: _Element) -> dict[str, npt.NDArray[np.generic]]:
    sizes = [element.count * sum(np.dtype(kind).itemsize for _, kind in element.properties) for element in before]
    kind = np.dtype([(name, order + code) for name, code in vertex.properties])
    start, need = sum(sizes), vertex.count * kind.itemsize
    if len(body) < start + need:
        raise DataError(f"is a PLY file that ends too early: {len(body):,} bytes of {start + need:,} after its header")
    table = np.frombuffer(body, kind, vertex.count, start)
    return {name: table[name] for name, _ in vertex.properties}
