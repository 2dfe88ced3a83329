"""The answer for one photo."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crossfix.geo.photo import Prior
from crossfix.locate.posterior import Method


@dataclass(frozen=True)
class Candidate:
    """A chip of the map that resembles the photo.

    Attributes:
        rank: 1 for the best.
        lon: the chip's centre, degrees.
        lat: the chip's centre, degrees.
        side_m: the chip's side.
        score: cosine of the descriptors.
    """

    rank: int
    lon: float
    lat: float
    side_m: float
    score: float

    def to_dict(self) -> dict[str, float | int]:
        """For JSON."""
        return {
            "rank": self.rank,
            "lat": round(self.lat, 8),
            "lon": round(self.lon, 8),
            "side_m": round(self.side_m, 2),
            "score": round(self.score, 4),
        }


@dataclass(frozen=True)
class Fix:
    """Where a photo was taken, and how sure that is.

    Attributes:
        photo: its name.
        lon: the camera, degrees; None where it cannot be known (oblique or unknown view without field of view).
        lat: the camera, degrees; None as `lon`.
        centre_lon: the ground point at the middle of the picture, degrees.
        centre_lat: the ground point at the middle of the picture, degrees.
        radius95_m: radius of the circle about the centre point that holds it with 95 %, if the fix is right at all.
        covariance_m2: of the centre point, ((east-east, east-north), (east-north, north-north)); wide enough for the camera too where
            the camera is only known to be nearly above it.
        heading_deg: as measured in the map: bearing of the picture's upper edge for a photo straight down, of the view direction for an
            oblique one; None where only retrieval decided.
        confidence: calibrated probability, 0 to 1, that the centre point is right (see :mod:`crossfix.locate.confidence`).
        accepted: the confidence reaches the threshold.
        reason: why not, a plain sentence; None if accepted.
        method: the step that decided.
        candidates: what retrieval found, best first.
        prior: what was believed before, with sources.
        seconds: of wall time.
        features: what the confidence was computed from, by name.
        camera_radius95_m: radius of the circle about the camera that holds it with 95 %, wider than the centre's by what the tilt leaves
            open; None where the camera or its height is not known.
    """

    photo: str
    lon: float | None
    lat: float | None
    centre_lon: float
    centre_lat: float
    radius95_m: float
    covariance_m2: tuple[tuple[float, float], tuple[float, float]]
    heading_deg: float | None
    confidence: float
    accepted: bool
    reason: str | None
    method: Method
    candidates: tuple[Candidate, ...]
    prior: Prior
    seconds: float
    features: dict[str, float] = field(default_factory=dict, repr=False)
    camera_radius95_m: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The object that `crossfix locate --json` prints for a photo."""
        return {
            "photo": self.photo,
            "fix": {
                "lat": _rounded(self.lat, 8),
                "lon": _rounded(self.lon, 8),
                "centre_lat": round(self.centre_lat, 8),
                "centre_lon": round(self.centre_lon, 8),
                "radius95_m": round(self.radius95_m, 2),
                "camera_radius95_m": _rounded(self.camera_radius95_m, 2),
                "covariance_m2": [[round(value, 4) for value in row] for row in self.covariance_m2],
                "heading_deg": _rounded(self.heading_deg, 2),
                "confidence": round(self.confidence, 4),
                "accepted": self.accepted,
                "reason": self.reason,
                "method": self.method,
            },
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "prior": self.prior.to_dict(),
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class Failure:
    """A photo that could not be worked on.

    Attributes:
        photo: its name.
        error: what, where and how to mend, one sentence.
    """

    photo: str
    error: str

    def to_dict(self) -> dict[str, Any]:
        """The object that `crossfix locate --json` prints for the photo."""
        return {"photo": self.photo, "fix": None, "candidates": [], "prior": None, "seconds": None, "error": self.error}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
