"""Dense fallback: where the edges of a photo's view best fall on those of a map crop.

Between seasons few local features survive, but the directions of edges (roads, field borders, roofs) do. Both pictures become fields of
edge direction, written as unit-like complex numbers of twice the angle so that an edge and its inverse contrast are the same, weighted by a
locally normalised strength; the field of the view, turned and scaled in small steps, is correlated with that of the crop by FFT.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import scipy.fft

from crossfix.locate.query import Mask, Pixels, Query, turn

Field = npt.NDArray[np.complex64]
Reals = npt.NDArray[np.floating]

TEMPLATE_PX = 96
COARSE_PX = 48
SCALES = (0.93, 1.0, 1.07)
WIDE_SCALES = (0.75, 0.85, 1.0, 1.15, 1.3)
COARSE_STEP_DEG = 7.5
FINE_STEPS_DEG = (-3.0, 0.0, 3.0)
_PEAK_PX = 6
_REACH = 0.75


@dataclass(frozen=True)
class Target:
    """A map crop prepared for correlation, with an empty rim so that a template may reach over its edge.

    Attributes:
        spectrum: FFT of its edge field, (size, size).
        energy: squared strength of the field, (size, size).
        valid: 1 where the crop has data, (size, size).
        px: side of the crop without the rim.
        rim: width of the rim.
        template_px: pixels along the query square's side at the crop's resolution.
    """

    spectrum: Field
    energy: npt.NDArray[np.float32]
    valid: npt.NDArray[np.float32]
    px: int
    rim: int
    template_px: int


@dataclass(frozen=True)
class Peak:
    """Where a view falls on a crop.

    Attributes:
        xy: crop pixel at which the photo's centre lies.
        heading_deg: bearing of the plane's upper edge.
        scale: view scale that fits best, 1 as expected.
        score: normalised correlation, 0 to 1.
        psr: peak to side lobes: how many standard deviations the peak stands above the mean of the rest of its map.
        sigma_px: standard deviation of the position, from the peak's width.
    """

    xy: tuple[float, float]
    heading_deg: float
    scale: float
    score: float
    psr: float
    sigma_px: float


def prepare(pixels: Pixels, valid: Mask, template_px: int) -> Target:
    """Makes a map crop ready.

    Args:
        pixels: (px, px, 3), north-up.
        valid: (px, px).
        template_px: pixels along the query square's side at this resolution.
    """
    px, rim = pixels.shape[0], template_px // 2
    size = int(scipy.fft.next_fast_len(px + 2 * rim))
    field = np.zeros((size, size), np.complex64)
    mask = np.zeros((size, size), np.float32)
    field[rim : rim + px, rim : rim + px] = edge_field(pixels, valid)
    mask[rim : rim + px, rim : rim + px] = valid
    return Target(
        np.asarray(scipy.fft.fft2(field), dtype=np.complex64), np.asarray(np.abs(field) ** 2, dtype=np.float32), mask, px, rim, template_px
    )


def edge_field(pixels: Pixels, valid: Mask) -> Field:
    """Complex edge directions (H, W): twice the gradient's angle, its strength divided by the local mean strength and bounded."""
    lab = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).astype(np.float32), (0, 0), 1.0)
    gx, gy = cv2.Sobel(lab, cv2.CV_32F, 1, 0), cv2.Sobel(lab, cv2.CV_32F, 0, 1)
    # Squaring a gradient doubles its angle; the sum over channels is the structure tensor's main direction.
    squared = ((gx + 1j * gy) ** 2).sum(axis=2)
    strength = np.sqrt(np.abs(squared)).astype(np.float32)
    inner = cv2.erode(valid.astype(np.uint8), np.ones((7, 7), np.uint8), borderValue=0).astype(np.float32)
    mean = cv2.GaussianBlur(strength * inner, (0, 0), 8) / np.maximum(cv2.GaussianBlur(inner, (0, 0), 8), 1e-3)
    weight = np.minimum(strength / (mean + 4.0), 2.5) * inner
    return np.asarray(weight * squared / np.maximum(np.abs(squared), 1e-6), dtype=np.complex64)


def correlate(query: Query, targets: Sequence[Target], trials: Iterable[tuple[float, float]]) -> list[Peak | None]:
    """Best position of a query in each of several crops of one resolution.

    Args:
        query: the photo's plane.
        targets: the crops.
        trials: bearings of the plane's upper edge and scales to try.

    Returns:
        A peak a crop; None where the view covers too little of it.
    """
    best: list[Peak | None] = [None] * len(targets)
    if targets:
        for heading, scale in trials:
            _try(query, targets, heading, scale, best)
    return best


def trials(headings_deg: Sequence[float] | None, scales: Sequence[float]) -> list[tuple[float, float]]:
    """Headings and scales for a first look: a few about each believed heading, or all around."""
    if headings_deg is None:
        fan = [k * COARSE_STEP_DEG for k in range(round(360 / COARSE_STEP_DEG))]
    else:
        fan = [heading + step for heading in headings_deg for step in (-6.0, 0.0, 6.0)]
    return [(heading, scale) for heading in fan for scale in scales]


def refinements(peak: Peak) -> list[tuple[float, float]]:
    """Headings and scales near a peak for a second look."""
    return [(peak.heading_deg + step, peak.scale * scale) for step in FINE_STEPS_DEG for scale in (0.96, 1.0, 1.04)]


def strongest(query: Query, target: Target, trials: Iterable[tuple[float, float]], count: int) -> list[tuple[float, float, float]]:
    """The best places of a query on one large crop.

    Args:
        query: the photo's plane.
        target: the crop.
        trials: bearings of the plane's upper edge and scales to try.
        count: how many places.

    Returns:
        At most `count` of (x, y, score), crop pixels of the photo's centre, best first; no two nearer than 0.4 of the query square's side.
    """
    best = np.full((target.px, target.px), -1.0, np.float32)
    for heading, scale in trials:
        field, mask, centre = _template(query, heading, scale * target.template_px)
        scores = _scores(field, mask, centre, target, {})
        if scores is None:
            continue
        score, allowed, x, y = scores
        rows, columns = np.flatnonzero(allowed.any(axis=1)), np.flatnonzero(allowed.any(axis=0))
        if len(rows) == 0:
            continue
        part = np.where(allowed, score, -1.0)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        top, left = int(y[rows[0]]), int(x[columns[0]])
        window = best[top : top + part.shape[0], left : left + part.shape[1]]
        np.maximum(window, part[: window.shape[0], : window.shape[1]], out=window)
    found: list[tuple[float, float, float]] = []
    reach = round(0.4 * target.template_px)
    while len(found) < count:
        row, column = divmod(int(best.argmax()), target.px)
        if best[row, column] <= 0:
            break
        found.append((float(column), float(row), float(best[row, column])))
        best[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = -1.0
    return found


def _try(query: Query, targets: Sequence[Target], heading: float, scale: float, best: list[Peak | None]) -> None:
    """Correlates one turned and scaled template with all crops and keeps what is better."""
    field, mask, centre = _template(query, heading, scale * targets[0].template_px)
    spectra: dict[int, Field] = {}
    for k, target in enumerate(targets):
        scores = _scores(field, mask, centre, target, spectra)
        if scores is None:
            continue
        score, allowed, x, y = scores
        height, width = score.shape
        row, column = divmod(int(np.where(allowed, score, -1.0).argmax()), width)
        value = float(score[row, column])
        before = best[k]
        if before is not None and before.score >= value:
            continue
        near = (np.abs(np.arange(height) - row) <= _PEAK_PX)[:, None] & (np.abs(np.arange(width) - column) <= _PEAK_PX)[None, :]
        rest = score[allowed & ~near]
        psr = (value - float(rest.mean())) / max(float(rest.std()), 1e-6) if rest.size > 20 else 0.0
        dx, dy, sigma = _refine(score, row, column)
        best[k] = Peak((float(x[column] + dx), float(y[row] + dy)), heading % 360.0, scale, value, psr, sigma)


def _scores(
    field: Field, mask: Mask, centre: tuple[float, float], target: Target, spectra: dict[int, Field]
) -> tuple[Reals, Mask, Reals, Reals] | None:
    """Normalised correlation of a template with a crop, where it counts, and the crop pixels of the photo's centre by column and row."""
    rows, columns = field.shape
    own = float(np.sum(np.abs(field) ** 2))
    size = target.energy.shape[0]
    if own < 1e-3 or max(rows, columns) > size:
        return None
    if size not in spectra:
        spectra[size] = np.conj(np.asarray(scipy.fft.fft2(field, s=(size, size)), dtype=np.complex64))
    height, width = size - rows + 1, size - columns + 1
    response = np.asarray(scipy.fft.ifft2(target.spectrum * spectra[size]).real[:height, :width])
    energy = _box(target.energy, columns, rows)[:height, :width] * (rows * columns * float(mask.mean()))
    score = response / np.sqrt(np.maximum(energy, 0.05 * own) * own)
    # Only positions that put the photo's centre on the crop and half of the template on valid ground.
    x = np.arange(width) + centre[0] - target.rim
    y = np.arange(height) + centre[1] - target.rim
    on_crop = ((y >= 0) & (y <= target.px - 1))[:, None] & ((x >= 0) & (x <= target.px - 1))[None, :]
    allowed = on_crop & (_box(target.valid, columns, rows)[:height, :width] > 0.5)
    return None if allowed.sum() < 50 else (score, allowed, x, y)


def _template(query: Query, heading_deg: float, px: float) -> tuple[Field, Mask, tuple[float, float]]:
    """North-up edge field of the query's plane with `px` pixels a square side, its mask, and where the photo's centre lies in it."""
    x0, y0, x1, y1 = query.extent
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    north_up = corners @ turn(heading_deg)[:2, :2]
    reach = np.minimum(np.abs(north_up).max(axis=0), _REACH)
    size = (round(2 * reach[0] * px), round(2 * reach[1] * px))
    centre = ((size[0] - 1) / 2, (size[1] - 1) / 2)
    to_plane = turn(heading_deg) @ np.array([[1 / px, 0, -centre[0] / px], [0, 1 / px, -centre[1] / px], [0, 0, 1]])
    pixels, valid = query.picture.warp(query.to_photo @ to_plane, size)
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    plane = np.stack([x.ravel(), y.ravel(), np.ones(x.size)]).T @ to_plane.T
    within = (plane[:, 0] >= x0) & (plane[:, 0] <= x1) & (plane[:, 1] >= y0) & (plane[:, 1] <= y1)
    valid &= within.reshape(valid.shape)
    return edge_field(pixels, valid), valid, centre


def _box(values: npt.NDArray[np.float32], columns: int, rows: int) -> npt.NDArray[np.float32]:
    """Mean over the box of `columns` x `rows` that begins at each pixel."""
    return np.asarray(cv2.boxFilter(values, cv2.CV_32F, (columns, rows), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT), dtype=np.float32)


def _refine(score: npt.NDArray[np.float32], row: int, column: int) -> tuple[float, float, float]:
    """Sub-pixel shift of a peak by parabolas, and the standard deviation its width stands for."""
    middle = float(score[row, column])
    height, width = score.shape
    shifts, widths = [], []
    for low, high in (
        (score[row, max(column - 1, 0)], score[row, min(column + 1, width - 1)]),
        (score[max(row - 1, 0), column], score[min(row + 1, height - 1), column]),
    ):
        bend = float(low) - 2 * middle + float(high)
        shifts.append(0.5 * (float(low) - float(high)) / bend if bend < -1e-6 else 0.0)
        widths.append(math.sqrt(middle / -bend) if bend < -1e-6 and middle > 0 else float(_PEAK_PX))
    return float(np.clip(shifts[0], -1, 1)), float(np.clip(shifts[1], -1, 1)), float(np.clip(max(widths), 0.7, _PEAK_PX))
