"""The lists of GTA-UAV: which drone image sees which tiles, and where both lie on the game's map."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossfix.data.places import REFETCH
from crossfix.errors import DataError

#: The map is 24,576 pixels of 0.45 m wide and high; a tile of zoom z is one of 2^z by 2^z parts of it, of 256 pixels.
MAP_SIDE_M = 24_576 * 0.45
TILE_PX = 256

_TILE = re.compile(r"(?P<zoom>\d+)(?:_(?P<offset>\d+))?_(?P<x>\d+)_(?P<y>\d+)")
Point = tuple[float, float]


@dataclass(frozen=True)
class Pair:
    """A drone image and its tiles, an entry of the authors' lists; positions in metres of the map, x to the east and y to the south.

    Attributes:
        number: of the entry in its list, from 1.
        drone: file name.
        at: the middle of the picture on the ground.
        positive: file names of tiles with an IoU above 0.39.
        semi_positive: of tiles with an IoU above 0.14 that are not positive.
        tiles: centre of every tile named.
        height_m: above ground.
        heading_deg: of the picture's upper edge.
        pitch_deg: the game's, which goes on below -90 where the camera leans back.
    """

    number: int
    drone: str
    at: Point
    positive: tuple[str, ...]
    semi_positive: tuple[str, ...]
    tiles: dict[str, Point]
    height_m: float | None
    heading_deg: float | None
    pitch_deg: float | None


def read_pairs(path: Path) -> list[Pair]:
    """Read one of the authors' lists.

    Raises:
        DataError: naming the line or the entry, where it cannot be read or understood.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError("is missing", where=path, mend=REFETCH) from error
    except json.JSONDecodeError as error:
        raise DataError(f"is no JSON ({error.msg})", where=f"{path} line {error.lineno}", mend=REFETCH) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", where=path, mend=REFETCH) from error
    if not isinstance(entries, list):
        raise DataError("is no list of pairs", where=path, mend=REFETCH)
    pairs = []
    for number, entry in enumerate(entries, start=1):
        try:
            pairs.append(_pair(number, entry))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            what = f"has no {error}" if isinstance(error, KeyError) else f"makes no sense ({error})"
            raise DataError(what, where=f"{path} entry {number}", mend=REFETCH) from error
    return pairs


def tile_centre(name: str) -> Point | None:
    """Centre of a tile by its file name ``ZOOM_OFFSET_X_Y.png``, OFFSET in pixels of the tile both ways and possibly left out.

    Returns:
        x to the east and y to the south in metres of the map, or None where the name is of another kind.
    """
    found = _TILE.fullmatch(Path(name).stem)
    if found is None:
        return None
    side = tile_side_m(int(found["zoom"]))
    shift = 0.5 + int(found["offset"] or 0) / TILE_PX
    return (int(found["x"]) + shift) * side, (int(found["y"]) + shift) * side


def tile_side_m(zoom: int) -> float:
    """Side of a tile of a zoom, in metres."""
    return MAP_SIDE_M / float(2**zoom)


def to_xy_m(point: Point) -> Point:
    """A position of the lists (y to the south) as views have it (north), and the other way round; metres."""
    return point[0], -point[1]


def _pair(number: int, entry: Any) -> Pair:  # noqa: ANN401 - whatever JSON may hold
    tiles: dict[str, Point] = {}
    names: dict[str, tuple[str, ...]] = {}
    for which in ("pos", "pos_semipos"):
        listed, places = entry[f"pair_{which}_sate_img_list"], entry[f"pair_{which}_sate_loc_x_y_list"]
        names[which] = tuple(_name(name) for name in listed)
        tiles.update((name, _point(place)) for name, place in zip(names[which], places, strict=True))
    camera = entry.get("drone_metadata") or {}
    height, yaw, roll = (None if camera.get(key) is None else _number(camera[key]) for key in ("height", "cam_yaw", "cam_roll"))
    return Pair(
        number,
        _name(entry["drone_img_name"]),
        _point(entry["drone_loc_x_y"]),
        names["pos"],
        tuple(name for name in names["pos_semipos"] if name not in names["pos"]),
        tiles,
        height,
        None if yaw is None else -yaw % 360,
        roll,
    )


def _name(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no file name")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _point(value: Any) -> Point:  # noqa: ANN401
    x, y = value
    return _number(x), _number(y)
