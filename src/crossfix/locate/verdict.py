"""Fixes held against the truth: how far off, and whether an accepted one is right."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from crossfix.errors import DataError
from crossfix.geo.geodesy import check_lonlat, distance_m

Result = Mapping[str, Any]
"""One photo's result as `crossfix locate --json` prints it: `photo`, `fix`, `candidates`, `prior`, `seconds`."""

RIGHT_WITHIN_M = 25.0
"""A fix no further from the truth than this is right."""

STEPS_M = (10, 25, 50)


@dataclass(frozen=True)
class Truth:
    """Where a photo was really taken.

    Args:
        lon: camera, degrees; None for pictures without a camera position (satellite images).
        lat: camera, degrees.
        centre_lon: the ground in the middle of the picture, degrees; None where the middle shows no ground.
        centre_lat: degrees.
    """

    lon: float | None
    lat: float | None
    centre_lon: float | None
    centre_lat: float | None


@dataclass(frozen=True)
class Verdict:
    """A result and how far it is from the truth.

    Args:
        result: what was found.
        truth: None where it is not known.
        camera_error_m: geodesic distance between the camera's positions, metres; None where either is not known.
        centre_error_m: the same of the photo's middle on the ground.
        within_m: the largest distance that is right.
    """

    result: Result
    truth: Truth | None
    camera_error_m: float | None
    centre_error_m: float | None
    within_m: float = RIGHT_WITHIN_M

    @property
    def accepted(self) -> bool:
        """Whether the locator stands by its fix."""
        return bool((self.result.get("fix") or {}).get("accepted"))

    @property
    def error_m(self) -> float | None:
        """The error of the photo's middle, which a fix's circle and confidence speak of; the camera's where no middle is known."""
        return self.camera_error_m if self.centre_error_m is None else self.centre_error_m

    @property
    def right(self) -> bool:
        """Whether the fix is as near to the truth as it must be, accepted or not."""
        return self.error_m is not None and self.error_m <= self.within_m

    @property
    def state(self) -> Literal["right", "wrong", "refused"]:
        """`refused` where it was not accepted; `right` also where it was accepted and no truth is known."""
        if not self.accepted:
            return "refused"
        return "right" if self.right or self.truth is None else "wrong"

    @property
    def circle_holds(self) -> bool | None:
        """Whether the truth lies in the 95 % circle; None where that cannot be said."""
        radius = (self.result.get("fix") or {}).get("radius95_m")
        return None if radius is None or self.error_m is None else bool(self.error_m <= radius)


def judge(result: Result, truth: Truth | None, *, within_m: float = RIGHT_WITHIN_M) -> Verdict:
    """Hold one result against the truth.

    Args:
        result: what was found.
        truth: where the photo was taken, if known.
        within_m: the largest distance that is right, metres.
    """
    fix = result.get("fix") or {}

    def error(prefix: str) -> float | None:
        lon, lat = fix.get(f"{prefix}lon"), fix.get(f"{prefix}lat")
        true_lon: float | None = getattr(truth, f"{prefix}lon", None)
        true_lat: float | None = getattr(truth, f"{prefix}lat", None)
        if lon is None or lat is None or true_lon is None or true_lat is None:
            return None
        return distance_m(float(lon), float(lat), true_lon, true_lat)

    return Verdict(result, truth, error(""), error("centre_"), within_m)


def summarise(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The figures of many verdicts.

    Args:
        verdicts: one a photo, those without a fix included.

    Returns:
        Counts over all photos (`within_10_m`, ..., `accepted`, `accepted_right`, `accepted_wrong`) and the median error in metres, of the
        photo's middle and, as `camera_*`, of the camera (a photo without a fix counts as infinitely far; null where that makes the median
        infinite); the share of accepted fixes whose 95 % circle holds the truth; the mean seconds a photo.
    """
    errors = np.array([math.inf if v.error_m is None else v.error_m for v in verdicts])
    cameras = np.array([math.inf if v.camera_error_m is None else v.camera_error_m for v in verdicts])
    accepted = [v for v in verdicts if v.accepted]
    circles = [v.circle_holds for v in accepted if v.circle_holds is not None]
    seconds = [v.result["seconds"] for v in verdicts if v.result.get("seconds") is not None]
    return {
        "photos": len(verdicts),
        **{f"within_{step}_m": int((errors <= step).sum()) for step in STEPS_M},
        "median_error_m": _median(errors),
        **{f"camera_within_{step}_m": int((cameras <= step).sum()) for step in STEPS_M},
        "camera_median_error_m": _median(cameras),
        "right_within_m": verdicts[0].within_m if verdicts else RIGHT_WITHIN_M,
        "accepted": len(accepted),
        "accepted_right": sum(v.right for v in accepted),
        "accepted_wrong": sum(not v.right for v in accepted),
        "accepted_circle_holds_truth": round(sum(circles) / len(circles), 4) if circles else None,
        "seconds_a_photo": round(float(np.mean(seconds)), 3) if seconds else None,
    }


def _median(values: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    middle = float(np.median(values)) if len(values) else math.inf
    return round(middle, 2) if math.isfinite(middle) else None


def read_truth(path: Path) -> dict[str, Truth]:
    """Read a truth table, as `crossfix world photos` writes it.

    Args:
        path: a CSV file with the columns photo, lat, lon, centre_lat, centre_lon; other columns are ignored, empty cells are unknown.

    Returns:
        Truth by photo name.

    Raises:
        DataError: the file cannot be read, lacks columns, or holds what is no number.
        InputError: a position that is none on Earth.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the truth table ({error})", where=path) from error
    truths = {}
    for number, row in enumerate(rows, start=2):
        try:
            name = row["photo"]
            lon, lat, centre_lon, centre_lat = (float(row[c]) if row[c] else None for c in ("lon", "lat", "centre_lon", "centre_lat"))
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(
                f"line {number} is not a row of a truth table ({error})",
                where=path,
                mend="it needs the columns photo, lat, lon, centre_lat, centre_lon",
            ) from error
        for x, y in ((lon, lat), (centre_lon, centre_lat)):
            if x is not None and y is not None:
                check_lonlat(x, y, where=path)
        truths[name] = Truth(lon, lat, centre_lon, centre_lat)
    return truths
