"""Which matches agree on one similarity: every match proposes turn, scale and shift, and the others vote.

A match of features with direction and size fixes a whole similarity by itself, so all proposals can be tried; that finds a true motion
among a few per cent of right matches, where sampling two or four matches at random would not.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from crossfix.locate.features import Matches

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

TURN_SPREAD_DEG = 25.0
LOG_SCALE_SPREAD = math.log(1.6)
_MAX_PROPOSALS = 700


def agreeing(
    matches: Matches,
    *,
    turns_deg: tuple[float, ...] | None,
    turn_tolerance_deg: float,
    log_scale: float | None,
    log_scale_tolerance: float,
    tolerance_px: float,
) -> Bools:
    """Marks the largest set of matches that agree on one similarity.

    Args:
        matches: M matches.
        turns_deg: expected turns from source to target, None if any is possible.
        turn_tolerance_deg: a proposal may differ this much from an expected turn.
        log_scale: expected natural logarithm of the scale, None if any is possible.
        log_scale_tolerance: a proposal may differ this much from it.
        tolerance_px: how far in the target a match may lie from where a proposal puts it, at the proposing match; it grows with distance
            because a single match fixes turn and scale roughly.

    Returns:
        (M,) True for the matches of the set; all False if no two agree.
    """
    count = len(matches)
    marked = np.zeros(count, dtype=bool)
    able = np.ones(count, dtype=bool)
    if turns_deg is not None:
        able = np.zeros(count, dtype=bool)
        for turn in turns_deg:
            able |= np.abs(_wrap(matches.turn_deg - turn)) <= turn_tolerance_deg
    if log_scale is not None:
        able &= np.abs(matches.log_scale - log_scale) <= log_scale_tolerance
    members = np.flatnonzero(able)[:_MAX_PROPOSALS]
    if len(members) < 2:
        return marked
    source = matches.source[members, 0] + 1j * matches.source[members, 1]
    target = matches.target[members, 0] + 1j * matches.target[members, 1]
    motion = np.exp(matches.log_scale[members] + 1j * np.radians(matches.turn_deg[members]))
    predicted = target[:, None] + motion[:, None] * (source[None, :] - source[:, None])
    reach = np.abs(target[None, :] - target[:, None])
    alike = np.abs(_wrap(matches.turn_deg[members][None, :] - matches.turn_deg[members][:, None])) <= TURN_SPREAD_DEG
    alike &= np.abs(matches.log_scale[members][None, :] - matches.log_scale[members][:, None]) <= LOG_SCALE_SPREAD
    votes = alike & (np.abs(predicted - target[None, :]) <= tolerance_px + 0.2 * reach)
    # Matches on one spot are one piece of evidence however many they are.
    support = votes.sum(axis=1)
    for proposal in np.argsort(-support, kind="stable")[:8]:
        chosen = votes[proposal]
        for shrink in (2.0, 1.0, 1.0):
            if chosen.sum() < 2:
                break
            a, b = fit_similarity(source[chosen], target[chosen])
            chosen = alike[proposal] & (np.abs(a * source + b - target) <= shrink * tolerance_px)
        if chosen.sum() > marked.sum():
            marked[:] = False
            marked[members[chosen]] = True
    return marked


def fit_similarity(source: npt.NDArray[np.complex128], target: npt.NDArray[np.complex128]) -> tuple[complex, complex]:
    """Least-squares similarity target = a * source + b of points written as complex numbers x + iy."""
    mean_s, mean_t = source.mean(), target.mean()
    centred = source - mean_s
    energy = float(np.sum(np.abs(centred) ** 2))
    if energy < 1e-9:
        return 1.0 + 0j, complex(mean_t - mean_s)
    a = complex(np.sum(np.conj(centred) * (target - mean_t)) / energy)
    return a, complex(mean_t - a * mean_s)


def _wrap(angle: Floats) -> Floats:
    return (angle + 180.0) % 360.0 - 180.0
