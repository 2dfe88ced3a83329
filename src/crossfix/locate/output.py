"""Fixes as JSON, GeoJSON or CSV, written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crossfix.disk import atomic
from crossfix.errors import InputError
from crossfix.geo.geodesy import LocalFrame
from crossfix.locate.fix import Failure, Fix

FORMATS = ("json", "geojson", "csv")
_CIRCLE_POINTS = 48
_COLUMNS = (
    "photo", "lat", "lon", "centre_lat", "centre_lon", "radius95_m", "camera_radius95_m",
    "covariance_ee_m2", "covariance_en_m2", "covariance_nn_m2",
    "heading_deg", "confidence", "accepted", "reason", "method", "seconds", "error",
)  # fmt: skip


def render(results: Sequence[Fix | Failure], form: str) -> str:
    """Text of the results.

    Args:
        results: a fix or a failure a photo, in the order of the photos.
        form: ``json``, ``geojson`` or ``csv``.

    Raises:
        InputError: an unknown format.
    """
    if form == "json":
        return json.dumps([result.to_dict() for result in results], indent=1, allow_nan=False) + "\n"
    if form == "geojson":
        return json.dumps(to_geojson(results), indent=1, allow_nan=False) + "\n"
    if form == "csv":
        return to_csv(results)
    raise InputError(f"there is no format '{form}'", mend=f"use one of {', '.join(FORMATS)}")


def format_of(path: Path | None, wanted: str | None) -> str:
    """The format wanted, else that of the file's ending, else JSON.

    Raises:
        InputError: an unknown format.
    """
    form = wanted or {".geojson": "geojson", ".csv": "csv"}.get("" if path is None else path.suffix.lower(), "json")
    if form not in FORMATS:
        raise InputError(f"there is no format '{form}'", mend=f"use one of {', '.join(FORMATS)}")
    return form


def to_geojson(results: Sequence[Fix | Failure]) -> dict[str, Any]:
    """A FeatureCollection (RFC 7946, lon lat) with three features a fix.

    `role` is ``camera`` (left out where the camera is unknown), ``centre`` (the ground point at the middle of the picture) and ``circle95``
    (polygon about the centre). Failed photos have no features; they are listed under the collection's own member ``failures``.
    """
    features = []
    for fix in results:
        if isinstance(fix, Failure):
            continue
        shared = {key: value for key, value in fix.to_dict()["fix"].items() if key not in ("lat", "lon", "centre_lat", "centre_lon")}
        shared = {"photo": fix.photo, **shared, "seconds": round(fix.seconds, 3)}
        if fix.lon is not None and fix.lat is not None:
            features.append(_feature("camera", {"type": "Point", "coordinates": _position(fix.lon, fix.lat)}, shared))
        features.append(_feature("centre", {"type": "Point", "coordinates": _position(fix.centre_lon, fix.centre_lat)}, shared))
        features.append(_feature("circle95", {"type": "Polygon", "coordinates": [_circle(fix)]}, shared))
    failures = [{"photo": result.photo, "error": result.error} for result in results if isinstance(result, Failure)]
    return {"type": "FeatureCollection", "features": features, "failures": failures}


def to_csv(results: Sequence[Fix | Failure]) -> str:
    """A row a photo with a header; what is unknown is an empty field."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for result in results:
        if isinstance(result, Failure):
            writer.writerow({"photo": result.photo, "error": result.error})
            continue
        told = result.to_dict()
        fix = told["fix"]
        (ee, en), (_, nn) = fix.pop("covariance_m2")
        fix["accepted"] = str(fix["accepted"]).lower()
        covariance = {"covariance_ee_m2": ee, "covariance_en_m2": en, "covariance_nn_m2": nn}
        writer.writerow({"photo": result.photo, "seconds": told["seconds"], **fix, **covariance})
    return text.getvalue()


def write(text: str, path: Path) -> None:
    """Writes a file whole or not at all.

    Raises:
        DiskError: the folder is missing or not writable, or the disk is full.
    """
    with atomic(path) as file:
        file.write(text.encode("utf-8"))


def _feature(role: str, geometry: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": {"role": role, **properties}}


def _position(lon: float, lat: float) -> list[float]:
    return [round(lon, 8), round(lat, 8)]


def _circle(fix: Fix) -> list[list[float]]:
    """Ring of the 95 % circle, counterclockwise as RFC 7946 wants outer rings, first point repeated."""
    frame = LocalFrame(fix.centre_lon, fix.centre_lat)
    ring = []
    for k in range(_CIRCLE_POINTS):
        angle = 2 * math.pi * k / _CIRCLE_POINTS
        ring.append(_position(*frame.to_lonlat(fix.radius95_m * math.cos(angle), fix.radius95_m * math.sin(angle))))
    return [*ring, ring[0]]
