"""The evidence behind a fix as numbers for the confidence, and as a sentence where it does not suffice."""

from __future__ import annotations

import math

import numpy as np

from crossfix.geo.geodesy import LocalFrame
from crossfix.locate.evidence import Dense, Laid, in_frame, photo_centre
from crossfix.locate.posterior import Mode
from crossfix.locate.query import Query, transform
from crossfix.locate.retrieve import Hit, supposed_headings


def measure(
    query: Query, hits: list[Hit], dense: list[Dense | None], laid: list[Laid | None], modes: list[Mode], frame: LocalFrame
) -> dict[str, float]:
    """Features of the winning mode.

    Args:
        query: the photo.
        hits: the candidates.
        dense: their correlations.
        laid: their registrations.
        modes: of the posterior, the winning one first.
        frame: the map's.

    Returns:
        A value for each name of :data:`crossfix.locate.confidence.FEATURES`.
    """
    place = modes[0].mean
    side = query.side_m or hits[modes[0].candidate].side_m
    close = 0.15 * side
    psr, elsewhere, peak_here = 0.0, 0.0, None
    for peak in dense:
        if peak is None:
            continue
        at = in_frame(peak.grid, peak.grid.local(np.array([peak.peak.xy])), frame)[0]
        if float(np.hypot(*(at - place))) <= close:
            if peak.peak.psr > psr:
                psr, peak_here = peak.peak.psr, peak
        else:
            elsewhere = max(elsewhere, peak.peak.psr)
    inliers, ratio, here = 0, 0.0, None
    for registered in laid:
        if registered is None:
            continue
        at = in_frame(registered.grid, transform(registered.to_local, [photo_centre(query)]), frame)[0]
        if float(np.hypot(*(at - place))) <= close and registered.registration.inliers > inliers:
            inliers, here = registered.registration.inliers, registered
            ratio = inliers / max(registered.registration.matches, 1)
    scale_off, heading_off = _disagreement(query, here, peak_here)
    rest = [hit.score for hit in hits[1:] if math.hypot(hit.east_m - hits[0].east_m, hit.north_m - hits[0].north_m) > 0.5 * side]
    return {
        "log_inliers": math.log1p(inliers),
        "inlier_ratio": ratio,
        "psr": psr,
        "psr_margin": psr - elsewhere if psr else 0.0,
        "agreement": float(here is not None and peak_here is not None),
        "margin": hits[0].score - max(rest) if rest else 0.0,
        "mass": modes[0].mass,
        "scale_off": scale_off,
        "heading_off": heading_off,
    }


def reason_against(features: dict[str, float], mode: Mode, modes: list[Mode]) -> str:
    """Why a fix is not accepted, as a plain sentence without a full stop."""
    if mode.method == "retrieval":
        return "no place on the map could be matched with the photo in detail, so the position is only that of the map square most like it"
    if len(modes) > 1 and modes[1].mass > 0.2:
        return f"at least two places on the map fit the photo about as well (the second one with a probability of {modes[1].mass:.0%})"
    if features["scale_off"] > 0.25:
        return "the size of the ground in the photo does not agree with its height and field of view"
    if mode.method == "registration":
        return f"only {round(math.expm1(features['log_inliers']))} details of the photo agree with the map, which chance could also give"
    return "only the overall pattern of edges agrees with the map, and not clearly enough"


def _disagreement(query: Query, laid: Laid | None, dense: Dense | None) -> tuple[float, float]:
    """How far scale (absolute logarithm) and heading (units of 10 degrees) are from what was expected."""
    scale, heading = 1.0, None
    if laid is not None:
        scale, heading = laid.registration.scale, laid.registration.turn_deg + laid.turned_deg
    elif dense is not None:
        scale, heading = dense.peak.scale, dense.peak.heading_deg
    scale_off = abs(math.log(scale)) if query.side_m is not None else 0.0
    if query.heading_deg is None or heading is None:
        return scale_off, 0.0
    off = min(abs((heading - supposed + 180.0) % 360.0 - 180.0) for supposed in supposed_headings(query))
    return scale_off, off / 10.0
