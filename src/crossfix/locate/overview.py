"""The drawings of a report: the map with truth and fixes over it, and the errors on one axis. SVG, in metres."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from crossfix.evaluate.report.picture import jpeg_uri
from crossfix.geo.geodesy import LocalFrame
from crossfix.locate.verdict import STEPS_M, Verdict
from crossfix.maps.raster import GeoMap

NO_DATA = (70, 76, 84)
MARGIN = 1.04


def filled(pixels: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A chip with its missing part in one dark grey.

    Args:
        pixels: (H, W, 3) RGB.
        valid: (H, W), False where the map has no data.
    """
    return np.where(valid[..., None], pixels, np.array(NO_DATA, np.uint8))


def map_svg(geomap: GeoMap, verdicts: Sequence[Verdict], *, px: int = 1400) -> str:
    """The map seen from above, with the truth, the fixes and their 95 % circles.

    Args:
        geomap: the map.
        verdicts: one a photo; those without a position are left out.
        px: pixels of the map's longer side.

    Returns:
        An SVG element whose unit is the metre, x east and y south of the picture's north-west corner. The groups carry `data-id` (the
        row number of the verdict) and the classes that the page's style knows.
    """
    frame, image, (left, top, width, height) = _background(geomap, px)
    size = max(width, height) / 100
    marks = [_mark(index, verdict, frame, left, top, size) for index, verdict in enumerate(verdicts)]
    scale = _scale_bar(width, height, size)
    return (
        f'<svg viewBox="0 0 {width:.1f} {height:.1f}" role="group" aria-label="Map with truth and fixes">'
        f'<image href="{jpeg_uri(image, 82)}" width="{width:.1f}" height="{height:.1f}" preserveAspectRatio="none"/>'
        f"{''.join(marks)}{scale}</svg>"
    )


def _background(geomap: GeoMap, px: int) -> tuple[LocalFrame, NDArray[np.uint8], tuple[float, float, float, float]]:
    frame, side = geomap.frame, max(geomap.size_m) * MARGIN
    chip = geomap.read_square(frame.lon, frame.lat, side, px)
    columns, rows = np.flatnonzero(chip.valid.any(axis=0)), np.flatnonzero(chip.valid.any(axis=1))
    if not len(columns):
        columns = rows = np.arange(px)
    x0, x1, y0, y1 = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    gsd = side / px
    image = filled(chip.pixels, chip.valid)[y0:y1, x0:x1]
    return frame, image, (x0 * gsd - side / 2, side / 2 - y0 * gsd, (x1 - x0) * gsd, (y1 - y0) * gsd)


def _mark(index: int, verdict: Verdict, frame: LocalFrame, left: float, top: float, size: float) -> str:
    fix, truth = verdict.result.get("fix") or {}, verdict.truth
    prefix = "centre_" if fix.get("centre_lon") is not None else ""

    def place(lon: float | None, lat: float | None) -> tuple[float, float] | None:
        if lon is None or lat is None:
            return None
        east, north = frame.to_local(lon, lat)
        return east - left, top - north

    found = place(fix.get(f"{prefix}lon"), fix.get(f"{prefix}lat"))
    real = place(getattr(truth, f"{prefix}lon", None), getattr(truth, f"{prefix}lat", None))
    parts = []
    if found and real:
        parts.append(f'<line class="link" x1="{found[0]:.1f}" y1="{found[1]:.1f}" x2="{real[0]:.1f}" y2="{real[1]:.1f}"/>')
    if found and fix.get("radius95_m") is not None:
        parts.append(f'<circle class="ring" cx="{found[0]:.1f}" cy="{found[1]:.1f}" r="{fix["radius95_m"]:.1f}"/>')
    if real:
        cross = f"M{real[0] - size:.1f} {real[1]:.1f}h{2 * size:.1f}M{real[0]:.1f} {real[1] - size:.1f}v{2 * size:.1f}"
        parts.append(f'<path class="truth under" d="{cross}"/><path class="truth" d="{cross}"/>')
    if found:
        parts.append(symbol(verdict.state, found[0], found[1], size * 0.72))
    if not parts:
        return ""
    name = escape(str(verdict.result["photo"]))
    return (
        f'<g class="fixed {verdict.state}" data-id="{index}" tabindex="0" role="button" aria-label="{name}">'
        f"<title>{name}: {escape(describe(verdict))}</title>{''.join(parts)}</g>"
    )


def symbol(state: str, x: float, y: float, radius: float) -> str:
    """The sign of a verdict: a disc, or a lozenge where it is wrong, so that colour is not all that tells them apart.

    Args:
        state: `right`, `wrong` or `refused`.
        x: of its middle.
        y: of its middle.
        radius: in the drawing's unit.
    """
    if state == "wrong":
        r = radius * 1.3
        return f'<path class="mark" d="M{x:.2f} {y - r:.2f}l{r:.2f} {r:.2f}l{-r:.2f} {r:.2f}l{-r:.2f} {-r:.2f}z"/>'
    return f'<circle class="mark" cx="{x:.2f}" cy="{y:.2f}" r="{radius:.2f}"/>'


def describe(verdict: Verdict) -> str:
    """One line on a verdict, such as `accepted, 3.1 m off`.

    Args:
        verdict: a photo's.
    """
    fix = verdict.result.get("fix")
    if not fix:
        return "no fix"
    said = "accepted" if verdict.accepted else "refused"
    return said if verdict.error_m is None else f"{said}, {metres(verdict.error_m)} off"


def metres(value: float | None) -> str:
    """A length for people: three figures at most, a dash for nothing.

    Args:
        value: metres.
    """
    if value is None:
        return "–"
    return f"{value:.1f} m" if value < 100 else f"{value:,.0f} m"


def _scale_bar(width: float, height: float, size: float) -> str:
    length = 10 ** math.floor(math.log10(width / 4))
    length *= max(step for step in (1, 2, 5) if length * step <= width / 4)
    x, y, tick = width - 2.5 * size - length, height - 2.5 * size, 0.8 * size
    line = f'<path fill="none" d="M{x:.1f} {y - tick:.1f}v{tick:.1f}h{length:g}v{-tick:.1f}"'
    return (
        f'<g stroke="#fff" fill="#fff" font-size="{1.9 * size:.1f}" font-family="system-ui, sans-serif" style="pointer-events:none">'
        f'{line} stroke="#10151a" stroke-width="{0.6 * size:.1f}"/>{line} stroke-width="{0.28 * size:.1f}"/>'
        f'<text x="{x + length / 2:.1f}" y="{y - tick:.1f}" text-anchor="middle" stroke="#10151a" stroke-width="{0.45 * size:.1f}" '
        f'paint-order="stroke">{length:g} m</text></g>'
    )


def errors_svg(verdicts: Sequence[Verdict]) -> str:
    """Every photo's error as a dot on one logarithmic axis, from 0.1 m to the largest.

    Args:
        verdicts: one a photo; those whose error is unknown are left out.

    Returns:
        An SVG element, or nothing where no error is known.
    """
    known = [(error, index, verdict) for index, verdict in enumerate(verdicts) if (error := verdict.error_m) is not None]
    if not known:
        return ""
    known.sort(key=lambda row: row[0])
    low, high = -1.0, max(2.0, math.ceil(math.log10(known[-1][0] + 1e-9) * 2) / 2)
    wide, tall, radius = 800.0, 112.0, 5.0

    def x(error: float) -> float:
        return 30 + (max(math.log10(error + 1e-9), low) - low) / (high - low) * (wide - 60)

    drawn = []
    for tick in sorted({0.1, 1.0, 100.0, 1000.0, 10000.0, *STEPS_M}):
        if math.log10(tick) <= high:
            line = f'<path class="{"goal" if tick in STEPS_M else "grid"}" d="M{x(tick):.1f} 4V{tall - 24}"/>'
            drawn.append(f'{line}<text x="{x(tick):.1f}" y="{tall - 7}" text-anchor="middle">{tick:g} m</text>')
    stacks: dict[int, int] = {}
    for error, index, verdict in known:
        # A dot that would lie on another one is set above it.
        column = round(x(error) / (2 * radius))
        level = stacks[column] = stacks.get(column, -1) + 1
        place = f'cx="{column * 2 * radius:.1f}" cy="{tall - 34 - level % 6 * (2 * radius + 1):.1f}" r="{radius}"'
        title = f"{escape(str(verdict.result['photo']))}: {escape(describe(verdict))}"
        drawn.append(f'<circle class="dot {verdict.state}" data-id="{index}" {place}><title>{title}</title></circle>')
    label = "Errors in metres on a logarithmic axis"
    return f'<svg viewBox="0 0 {wide:g} {tall:g}" role="img" aria-label="{label}">{"".join(drawn)}</svg>'
