"""The page of one evaluation: scores, stress, distances, the best and the worst queries, and how it was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from crossfix.data.dataset import DIRECTIONS
from crossfix.evaluate.examples import Example
from crossfix.evaluate.report import parts, stressed
from crossfix.evaluate.report.charts import shares_within
from crossfix.evaluate.report.gallery import Gallery
from crossfix.evaluate.report.wording import counted, interval_text, score_text, setting_name, shown_metrics
from crossfix.evaluate.results import CLEAN, key_of
from crossfix.evaluate.stress import Setting
from crossfix.evaluate.task import Measured

REPORT = "report.html"
EXAMPLES = 6
PICTURE_BYTES = 2_300_000
_CONDITIONS_SHOWN = 36  # examples under stress, all together

STRICT = (
    "strict: cosines; ties count against the query; distractors stay; every image of the right place is right; descriptors that are not "
    "numbers or all the same are refused. Its 95 % intervals resample places with all their queries."
)


def write_report(folder: Path, measured: Measured, *, progress: Callable[[int, int], None] | None = None) -> Path:
    """Write ``report.html``.

    Args:
        folder: where.
        measured: with examples.
        progress: told the lists of examples drawn and all of them.

    Raises:
        DataError: where an image cannot be read any more.
        DiskError: where it cannot be written.
    """
    values = measured.results.values
    model = str(values["model"]["name"])
    body = [
        f'<p class="lead">{escape(lead(values))}</p>',
        parts.tiles(_tiles(measured)),
        parts.heading("Scores"),
        parts.note(f"paper: {values['about']} {STRICT}"),
        scores(values),
    ]
    if "stress" in values:
        body += [
            parts.heading("Under stress"),
            parts.note(
                "R@1 under the strict protocol; shaded or with whiskers: 95 % intervals; dashed: the pictures as they are. One thing is "
                "changed at a time, the same way for every model that is measured with this seed."
            ),
            stressed.drawings([model], [values]),
            parts.folded(f"All {len(values['stress'])} settings as a table", stressed.every_setting(values)),
        ]
    body += distances([model], [measured.results.facts.other_SQ])
    body += _examples(measured, progress)
    body += [parts.heading("How this was made"), provenance(values)]
    return parts.write_page(folder / REPORT, f"{model} on {values['dataset']} {values['split']}", body)


def lead(values: Mapping[str, Any]) -> str:
    """What was asked, and the answer in one sentence."""
    direction = DIRECTIONS.get(values["direction"], values["direction"])
    queries, places, gallery = (counted(values[name]) for name in ("queries", "places", "gallery"))
    asked = f"{direction}: {queries} queries of {places} places in a gallery of {gallery} images."
    right, interval = values["strict"]["R@1"], values["intervals95"]["R@1"]
    answer = f"The first image is right for {score_text('R@1', right)} of the queries, strictly counted ({interval_text('R@1', interval)})."
    return f"{asked[:1].upper()}{asked[1:]} {answer}"


def scores(values: Mapping[str, Any]) -> str:
    """The table of both sides."""
    paper, strict, intervals = values["paper"], values["strict"], values["intervals95"]
    sides = [(name, side) for name, side in (("paper", paper), ("strict", strict)) if side]
    rows = [
        [escape(name), *(score_text(name, side.get(name)) for _, side in sides), interval_text(name, intervals.get(name))]
        for name in shown_metrics(side for _, side in sides)
    ]
    return parts.table(["metric", *(name for name, _ in sides), "95 % interval"], rows)


def distances(labels: list[str], columns: list[Mapping[str, Any]]) -> list[str]:
    """How far off the first image is, where positions are known."""
    known = [(label, np.asarray(one["Dis@1"][0], np.float64)) for label, one in zip(labels, columns, strict=True) if "Dis@1" in one]
    if not known:
        return []
    names = ["", "median", "90 %", *(f"within {metres} m" for metres in (10, 25, 50, 100, 500))]
    rows = []
    for label, distance_Q in known:
        cells = [f"{np.median(distance_Q):.1f} m", f"{np.quantile(distance_Q, 0.9):.1f} m"]
        cells += [f"{100 * float((distance_Q <= metres).mean()):.1f} %" for metres in (10, 25, 50, 100, 500)]
        rows.append([escape(label), *cells])
    drawn = parts.chart("Share of the queries within a distance", shares_within("Share of the queries within a distance", known))
    about = "From where the query was taken to the middle of the first image found; a right image may itself be some metres off."
    return [parts.heading("Distances"), parts.note(about), parts.table(names, rows), parts.charts([drawn])]


def provenance(values: Mapping[str, Any]) -> str:
    """Where the numbers come from."""
    about = values["environment"]
    packages = ", ".join(f"{name} {version}" for name, version in about.get("packages", {}).items())
    counts = f"{values['queries']} queries of {values['places']} places, {values['gallery']} images in the gallery"
    return parts.facts(
        {
            "model": f"{values['model']['name']}, {values['model']['dim']} entries a descriptor",
            "sha256 of the model": values["model"]["sha256"],
            "data": f"{values['dataset']} {values['split']} {values['direction']}, {values['data']}",
            "counts": counts,
            "sha256 of the data (names, sizes, what is right)": values["data_sha256"],
            "protocol": values["protocol"],
            "R@1% looks at": ", ".join(f"{count} images ({side})" for side, count in values["top_percent"].items()),
            "seed of the bootstrap and of the dials": values["seed"],
            "stress": ", ".join(values.get("stress_words", ())) or "none",
            "crossfix": f"{about.get('crossfix')}, commit {about.get('commit') or 'unknown'}",
            "Python": f"{about.get('python')}; {packages}",
            "machine": f"{about.get('system')}, {about.get('cpu')}, {about.get('threads')} threads, GPU {about.get('gpu') or 'none'}",
        }
    )


def _tiles(measured: Measured) -> list[tuple[str, str]]:
    values = measured.results.values
    strict = values["strict"]
    shown = [(score_text(name, strict[name]).replace(".00 %", " %"), f"{name}, strict") for name in ("R@1", "R@5", "AP") if name in strict]
    distance_SQ = measured.results.facts.other_SQ.get("Dis@1")
    if distance_SQ is not None:
        shown.append((f"{np.median(distance_SQ[0]):.1f} m", "median distance of the first image"))
    worst = stressed.worst_condition(values)
    if worst is not None:
        shown.append((score_text("R@1", worst["strict"]["R@1"]), f"R@1 at worst: {setting_name(worst)}"))
    return shown


def _examples(measured: Measured, progress: Callable[[int, int], None] | None) -> list[str]:
    gallery = Gallery(measured, PICTURE_BYTES)
    lists: list[tuple[str, list[Example], Setting | None]] = [
        ("Best queries: by rank, then by their lead over the first wrong image", measured.best, None),
        ("Worst queries: the right image stands farthest back", measured.worst.get(CLEAN, []), None),
    ]
    conditions = _hardest(measured.results.values)
    each = max(1, min(3, _CONDITIONS_SHOWN // max(1, len(conditions))))
    for hard, row in conditions:
        name = f"Worst under {setting_name(row)}: R@1 {score_text('R@1', row['strict']['R@1'])}"
        lists.append((name, measured.worst.get(hard.key, [])[:each], hard))
    html = [
        parts.heading("Queries"),
        parts.note(
            "Each with the first five images found, best first; right ones have a check mark and a coloured frame. Where none of the five "
            "is right, the right image that came next stands behind. At most one query a place. Ranks count wrong images alone, ties "
            "against the query."
        ),
    ]
    for number, (name, examples, setting) in enumerate(lists):
        drawn = gallery.rows(examples, setting)
        if drawn:
            html.append(f"<h3>{escape(name)}</h3>{drawn}" if setting is None else parts.folded(name, drawn))
        if progress is not None:
            progress(number + 1, len(lists))
    if gallery.left_out:
        html.append(parts.note(f"{gallery.left_out} more are left out: the page would grow too large."))
    return html


def _hardest(values: Mapping[str, Any]) -> list[tuple[Setting, Mapping[str, Any]]]:
    """For each dial on each half the level with the least R@1; the first of several."""
    hardest: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in values.get("stress", ()):
        known = hardest.get((row["dial"], row["side"]))
        if known is None or row["strict"]["R@1"] < known["strict"]["R@1"]:
            hardest[row["dial"], row["side"]] = row
    found = {key_of(row): row for row in hardest.values()}
    return [(Setting(row["dial"], row["level"], row["side"]), row) for row in found.values()]
