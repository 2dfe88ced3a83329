"""A table of images, ``images.csv``: a row an image, a column for each thing that may be known of it."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import cast, get_args

import numpy as np

from crossfix.data.dataset import Rows, same_place
from crossfix.data.view import View, ViewKind
from crossfix.errors import CrossfixError, DataError
from crossfix.geo.geodesy import check_lonlat, distance_m

TABLE = "images.csv"
RIGHT_WITHIN_M = 25.0
_NEEDED = ("file", "role")
_NUMBERS = ("lon", "lat", "height_m", "heading_deg", "pitch_deg")
_KNOWN = (*_NEEDED, "place", "kind", *_NUMBERS)
_BLOCK_M_PER_DEGREE = 111_000.0


def read_table(root: Path) -> tuple[list[View], list[View], list[Rows]]:
    """Read ``images.csv`` of a folder.

    Returns:
        Queries and gallery in the table's order, and each query's right rows of the gallery: those of its place, or where the table has no
        column ``place`` those within 25 m.

    Raises:
        DataError: naming the line, where the table cannot be read or says something impossible.
    """
    path = root / TABLE
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot be read ({error})", where=path, mend="write it as CSV in UTF-8") from error
    for column in _NEEDED:
        if column not in columns:
            raise DataError(f"has no column {column}", where=path, mend=f"its header may hold {', '.join(_KNOWN)}")
    if "place" not in columns and not {"lon", "lat"} <= set(columns):
        raise DataError("has neither place nor lat and lon", where=path, mend="add the places, or both coordinates")
    halves: dict[str, list[View]] = {"query": [], "gallery": []}
    for number, row in enumerate(rows, start=2):
        where = f"{path} line {number}"
        role = (row["role"] or "").strip()
        if role not in halves:
            raise DataError(f"the role is {role!r}", where=where, mend="write query or gallery")
        halves[role].append(_view(root, row, where, located="place" not in columns))
    for role, views in halves.items():
        if not views:
            raise DataError(f"lists no {role} image", where=path, mend=f"give some rows the role {role}")
    query, gallery = halves["query"], halves["gallery"]
    return query, gallery, same_place(query, gallery) if "place" in columns else within(query, gallery, RIGHT_WITHIN_M)


def within(query: list[View], gallery: list[View], radius_m: float) -> list[Rows]:
    """For each query the ascending rows of the gallery images at most so far away (geodesic); all must have positions."""
    lon, lat = (np.array([getattr(view, name) for view in gallery], np.float64) for name in ("lon", "lat"))
    order = np.argsort(lat, kind="stable")
    reach = radius_m / _BLOCK_M_PER_DEGREE * 1.1
    found = []
    for view in query:
        assert view.lon is not None
        assert view.lat is not None
        first, last = np.searchsorted(lat[order], (view.lat - reach, view.lat + reach))
        near = np.sort(order[first:last])
        away = distance_m(view.lon, view.lat, lon[near], lat[near]) if len(near) else np.empty(0)
        found.append(near[away <= radius_m].astype(np.int64))
    return found


def _view(root: Path, row: dict[str, str], where: str, *, located: bool) -> View:
    file = (row["file"] or "").strip()
    if not file or not (root / file).is_file():
        raise DataError(f"there is no file {file!r}", where=where, mend="give its path relative to the folder")
    kind = (row.get("kind") or "").strip() or None
    if kind is not None and kind not in get_args(ViewKind):
        raise DataError(f"the kind is {kind!r}", where=where, mend=f"write {', '.join(get_args(ViewKind))} or nothing")
    lon, lat, height, heading, pitch = (_number(row.get(name), name, where) for name in _NUMBERS)
    if (lon is None) != (lat is None) or (located and lon is None):
        raise DataError("has no position", where=where, mend="give lat and lon")
    if lon is not None and lat is not None:
        try:
            check_lonlat(lon, lat, where)
        except CrossfixError as error:
            raise DataError(error.what, where=where, mend=error.mend) from error
    place = (row.get("place") or file).strip()
    return View(root / file, place, cast("ViewKind | None", kind), lon, lat, height_m=height, heading_deg=heading, pitch_deg=pitch)


def _number(text: str | None, name: str, where: str) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{name} is {text!r}, no number", where=where, mend="write a decimal number or nothing")
    return value
