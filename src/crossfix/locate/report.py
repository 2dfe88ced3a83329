"""A report on located photos as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crossfix.errors import CrossfixError
from crossfix.evaluate.report.picture import jpeg_uri
from crossfix.geo.metadata import read_photo
from crossfix.locate.output import write
from crossfix.locate.overview import describe, errors_svg, filled, map_svg, metres, symbol
from crossfix.locate.verdict import STEPS_M, Verdict, summarise
from crossfix.maps.raster import GeoMap

PAGE_BYTES = 6_000_000
"""What the page may take."""

_WORDS_BYTES, _WORDS_A_PHOTO = 30_000, 4_000

_LABELS = {"right": "right", "wrong": "wrong", "refused": "refused"}


def write_report(
    path: Path,
    verdicts: Sequence[Verdict],
    photos: Mapping[str, Path],
    geomap: GeoMap,
    *,
    title: str,
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Write the page.

    The map stands at the top with truth, fixes and 95 % circles; then every photo beside the map at its fix. Where the pictures of many
    photos would make the page too heavy, the last ones are left out and the page says so.

    Args:
        path: the HTML file.
        verdicts: one a photo, with or without truth.
        photos: the files by the name that the results call them.
        geomap: the map that they were located on.
        title: the page's heading.
        facts: what the page tells of its making, by name.

    Returns:
        The path.

    Raises:
        DiskError: the file cannot be written.
    """
    judged = any(verdict.truth is not None for verdict in verdicts)
    overview = map_svg(geomap, verdicts)
    page = Template(files("crossfix.locate").joinpath("report_page.html").read_text(encoding="utf-8")).substitute(
        title=escape(title),
        lead=_lead(verdicts, judged),
        tiles=_tiles(verdicts, judged),
        overview=overview,
        legend=_legend(judged),
        strip=_strip(verdicts),
        filters=_filters(verdicts, judged),
        columns="".join(f'<th class="{kind}" scope="col"><button type="button">{name}</button></th>' for name, kind in _columns(judged)),
        rows="".join(_row(index, verdict, judged) for index, verdict in enumerate(verdicts)),
        cards=_cards(verdicts, photos, geomap, judged, PAGE_BYTES - len(overview)),
        notes=_notes(verdicts, judged),
        facts="".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in (facts or {}).items()),
    )
    write(page, path)
    return path


def _lead(verdicts: Sequence[Verdict], judged: bool) -> str:
    total, accepted = len(verdicts), sum(v.accepted for v in verdicts)
    if not judged:
        return f"{accepted} of {total} photos have a fix that crossfix stands by; the others are refused, with the reason."
    near, right = sum(v.right for v in verdicts), sum(v.right for v in verdicts if v.accepted)
    within = f"{verdicts[0].within_m:g} m"
    if not accepted:
        trust = "No fix was accepted."
    elif right == accepted:
        trust = f"crossfix stands by {accepted} of its fixes, and all of them are right."
    else:
        trust = f"crossfix stands by {accepted} of its fixes; {right} of them are right, {accepted - right} wrong."
    return f"{near} of {total} photos were placed within {within} of what they show. {trust}"


def _tiles(verdicts: Sequence[Verdict], judged: bool) -> str:
    figures = summarise(verdicts)
    total = figures["photos"]
    of = f" <small>of {total}</small>"
    tiles = []
    if judged:
        tiles += [(f"{figures[f'within_{step}_m']}{of}", f"within {step} m") for step in STEPS_M]
        tiles.append((metres(figures["median_error_m"]), "median error"))
    tiles.append((f"{figures['accepted']}{of}", "accepted"))
    if judged:
        tiles.append((f"{figures['accepted_right']} <small>of {figures['accepted']}</small>", "accepted and right"))
    if figures["seconds_a_photo"] is not None:
        tiles.append((f"{figures['seconds_a_photo']:.2f} s", "a photo"))
    return "".join(f'<div class="tile card"><b>{value}</b><span>{name}</span></div>' for value, name in tiles)


def _legend(judged: bool) -> str:
    def key(state: str, text: str) -> str:
        drawn = symbol(state, 11, 11, 5)
        return f'<span class="key"><svg viewBox="0 0 22 22" aria-hidden="true"><g class="{state}">{drawn}</g></svg>{text}</span>'

    if not judged:
        return key("right", "accepted fix") + key("refused", "refused fix")
    cross = '<path class="truth under" d="M5 11h12M11 5v12"/><path class="truth" d="M5 11h12M11 5v12"/>'
    truth = f'<span class="key"><svg viewBox="0 0 22 22" aria-hidden="true">{cross}</svg>true position</span>'
    return truth + key("right", "accepted, right") + key("wrong", "accepted, wrong") + key("refused", "refused")


def _strip(verdicts: Sequence[Verdict]) -> str:
    drawn = errors_svg(verdicts)
    return drawn and f'<section class="strip card"><h2>How far off</h2>{drawn}</section>'


def _filters(verdicts: Sequence[Verdict], judged: bool) -> str:
    choices = [("", "all"), ("right", "accepted, right"), ("wrong", "accepted, wrong"), ("refused", "refused")]
    if judged:
        choices.append(("far", f"over {verdicts[0].within_m:g} m off"))
    else:
        choices = [("", "all"), ("right", "accepted"), ("refused", "refused")]
    buttons = []
    for value, name in choices:
        count = sum(value in ("", *_tokens(verdict)) for verdict in verdicts)
        pressed = str(not value).lower()
        buttons.append(f'<button type="button" value="{value}" aria-pressed="{pressed}">{name} <small>{count}</small></button>')
    return "".join(buttons)


def _tokens(verdict: Verdict) -> list[str]:
    return [verdict.state] + ([] if verdict.right or verdict.truth is None else ["far"])


def _tag(index: int, verdict: Verdict) -> str:
    return f'data-id="{index}" data-state="{" ".join(_tokens(verdict))}"'


def _columns(judged: bool) -> list[tuple[str, str]]:
    error = [("error, middle", ""), ("error, camera", "")] if judged else []
    return [
        ("photo", "text"),
        ("verdict", "text"),
        *error,
        ("95 % radius", ""),
        ("confidence", ""),
        ("heading", ""),
        ("method", "text"),
        ("why refused", "text"),
    ]


def _row(index: int, verdict: Verdict, judged: bool) -> str:
    fix = verdict.result.get("fix") or {}

    def number(value: float | None, text: str) -> str:
        return f'<td data-v="{"" if value is None else f"{value:.6g}"}">{"–" if value is None else text}</td>'

    errors = [number(error, metres(error)) for error in (verdict.centre_error_m, verdict.camera_error_m)] if judged else []
    radius, confidence, heading = fix.get("radius95_m"), fix.get("confidence"), fix.get("heading_deg")
    cells = [
        f"<td>{escape(str(verdict.result['photo']))}</td>",
        f'<td class="text">{_badge(verdict, judged)}</td>',
        *errors,
        number(radius, metres(radius)),
        number(confidence, f"{confidence or 0:.2f}"),
        number(heading, f"{heading or 0:.0f}°"),
        f'<td class="text">{escape(str(fix.get("method") or "–"))}</td>',
        f'<td class="text why">{escape(_why(verdict))}</td>',
    ]
    return f"<tr {_tag(index, verdict)}>{''.join(cells)}</tr>"


def _badge(verdict: Verdict, judged: bool) -> str:
    label = _LABELS[verdict.state] if judged or verdict.state == "refused" else "accepted"
    if judged and verdict.state == "refused" and verdict.right:
        label = "refused, though right"
    return f'<span class="badge {verdict.state}">{label}</span>'


def _why(verdict: Verdict) -> str:
    fix = verdict.result.get("fix")
    if fix is None:
        return str(verdict.result.get("error") or "no fix")
    return "" if verdict.accepted else str(fix.get("reason") or "")


def _cards(verdicts: Sequence[Verdict], photos: Mapping[str, Path], geomap: GeoMap, judged: bool, left: int) -> str:
    # Wrong fixes that were accepted first: they are what a reader must see.
    order = sorted(range(len(verdicts)), key=lambda index: ("wrong", "right", "refused").index(verdicts[index].state))
    width = int(np.clip(400 * (60 / max(1, len(verdicts))) ** 0.5, 180, 400))
    left -= _WORDS_BYTES + _WORDS_A_PHOTO * len(verdicts)
    cards = []
    for index in order:
        verdict = verdicts[index]
        pictures = _pictures(verdict, photos, geomap, width) if left > 0 else []
        left -= sum(len(picture) for picture in pictures)
        if left <= 0:
            pictures = ["left out: the page would grow too large"] * 2
        frames = [_frame(picture, words) for picture, words in zip(pictures, ("photo", _found(verdict)), strict=True)]
        head = f'<div class="head"><b>{escape(str(verdict.result["photo"]))}</b>{_badge(verdict, judged)}</div>'
        body = f'<div class="pair">{"".join(frames)}</div><p>{escape(_caption(verdict))}</p>{_details(verdict)}'
        cards.append(f'<article class="shot card {verdict.state}" {_tag(index, verdict)} tabindex="0">{head}{body}</article>')
    return "".join(cards)


def _frame(picture: str, words: str) -> str:
    shown = f'<img src="{picture}" alt="{words}">' if picture.startswith("data:") else f'<div class="none">{escape(picture)}</div>'
    return (
        f'<figure><div class="frame{"" if picture.startswith("data:") else " bare"}">{shown}</div><figcaption>{words}</figcaption></figure>'
    )


def _found(verdict: Verdict) -> str:
    heading = (verdict.result.get("fix") or {}).get("heading_deg")
    return "map at the fix" if heading is None else f"map at the fix, {heading:.0f}° up"


def _pictures(verdict: Verdict, photos: Mapping[str, Path], geomap: GeoMap, width: int) -> list[str]:
    """Data addresses of the photo and of the map at its fix, or words on why there is none."""
    try:
        photo = Image.fromarray(read_photo(photos[str(verdict.result["photo"])]).pixels)
        photo.thumbnail((width, width), Image.Resampling.LANCZOS)
        shown = jpeg_uri(np.asarray(photo), 80)
        aspect = photo.width / photo.height
    except (CrossfixError, KeyError) as error:
        shown, aspect = f"not shown: {error}", 4 / 3
    chip = _chip(verdict, geomap, width, aspect)
    return [shown, "no place was found" if chip is None else jpeg_uri(chip, 80)]


def _chip(verdict: Verdict, geomap: GeoMap, width: int, aspect: float) -> NDArray[np.uint8] | None:
    """The map around the fix, turned so that it lies as the photo does, as wide as the chip found: (H, W, 3), or None without a fix."""
    fix, candidates = verdict.result.get("fix") or {}, verdict.result.get("candidates") or []
    lon, lat = fix.get("centre_lon"), fix.get("centre_lat")
    if candidates and (lon is None or lat is None):
        lon, lat = candidates[0]["lon"], candidates[0]["lat"]
    if lon is None or lat is None or not candidates:
        return None
    # A square that still covers the picture when it is turned by any angle.
    square = geomap.read_square(lon, lat, candidates[0]["side_m"] * 2**0.5, round(width * 2**0.5))
    turned = Image.fromarray(filled(square.pixels, square.valid)).rotate(fix.get("heading_deg") or 0.0, Image.Resampling.BICUBIC)
    x, y = turned.width / 2, turned.height / 2
    tall = width / max(aspect, 1e-3)
    return np.asarray(turned.crop((round(x - width / 2), round(y - tall / 2), round(x + width / 2), round(y + tall / 2))))


def _caption(verdict: Verdict) -> str:
    fix = verdict.result.get("fix") or {}
    words = [describe(verdict)]
    if fix.get("radius95_m") is not None:
        words.append(f"95 % within {metres(fix['radius95_m'])}")
    if fix.get("confidence") is not None:
        words.append(f"confidence {fix['confidence']:.2f}")
    return ", ".join(words) + (f". {_why(verdict)}" if _why(verdict) else "")


def _details(verdict: Verdict) -> str:
    """What the panel shows of the chosen photo; hidden in the card."""
    fix: Mapping[str, Any] = verdict.result.get("fix") or {}
    rows = []
    if fix.get("lat") is not None:
        rows.append(("camera (lat, lon)", f"{fix['lat']:.6f}, {fix['lon']:.6f}"))
    if fix.get("centre_lat") is not None:
        rows.append(("middle (lat, lon)", f"{fix['centre_lat']:.6f}, {fix['centre_lon']:.6f}"))
    if verdict.truth is not None:
        rows.append(("error of middle, of camera", f"{metres(verdict.centre_error_m)}, {metres(verdict.camera_error_m)}"))
    if fix.get("radius95_m") is not None:
        held = {True: " (holds the truth)", False: " (misses the truth)", None: ""}[verdict.circle_holds]
        rows.append(("95 % radius", metres(fix["radius95_m"]) + held))
    if fix.get("confidence") is not None:
        rows.append(("confidence", f"{fix['confidence']:.2f}"))
    if fix.get("method"):
        rows.append(("found by", str(fix["method"])))
    if _why(verdict):
        rows.append(("refused because", _why(verdict)))
    return f"<dl hidden>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in rows)}</dl>"


def _notes(verdicts: Sequence[Verdict], judged: bool) -> str:
    notes = [
        "A fix is accepted when crossfix stands by it. A refused one is shown, but nobody should rely on it; its reason is in the table.",
        "Positions on the map are the ground in the middle of the photo, which may lie far from the camera. The circle holds the true one "
        "with a probability of 95 %, by the fix's own estimate.",
        "The right-hand pictures show the map around the fix, turned so that it lies as the photo does. The crosses mark the same point of "
        "the ground in both when the fix is right.",
    ]
    if judged:
        notes.insert(1, f"A fix is right when the middle of the photo lies within {verdicts[0].within_m:g} m of where it truly is.")
    return "".join(f"<p>{note}</p>" for note in notes)
