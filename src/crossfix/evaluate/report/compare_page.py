"""The page of several evaluations of one task: scores side by side, paired differences, curves over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from crossfix.evaluate.report import parts, stressed
from crossfix.evaluate.report.charts import Point, forest
from crossfix.evaluate.report.page import STRICT, distances, lead
from crossfix.evaluate.report.wording import (
    axis_of,
    counted,
    dial_name,
    difference_text,
    interval_text,
    is_distance,
    score_text,
    shown_metrics,
    side_name,
)
from crossfix.evaluate.results import Results

COMPARED = "compare.html"


def write_comparison(folder: Path, compared: Mapping[str, Any], results: Sequence[Results]) -> Path:
    """Write ``compare.html``.

    Args:
        folder: where.
        compared: what `crossfix.evaluate.compare.compare` says of the results.
        results: these.

    Raises:
        DiskError: where it cannot be written.
    """
    rows = compared["results"]
    labels = [str(row["label"]) for row in rows]
    draws, seed = compared["draws"], compared["seed"]
    body = [
        f'<p class="lead">{escape(lead(results[0].values).partition(". ")[0])}. {escape(_verdict(compared, labels))}</p>',
        parts.legend(labels),
        parts.heading("Scores"),
        parts.note(f"paper: {results[0].values['about']} {STRICT}"),
        _scores(rows, labels),
        parts.heading("Differences, query by query"),
        parts.note(
            "Strict scores. Each pair answered the same queries; the 95 % intervals are of a paired bootstrap over places "
            f"({counted(draws)} draws, seed {seed}). Bold: the interval excludes zero. The intervals are not widened for the number of "
            "comparisons: of twenty true zeros one will be bold by chance. Scores in percentage points, distances in metres."
        ),
        parts.charts([parts.chart("R@1", forest("Differences of R@1", _forest(compared, labels)))]),
        _differences(compared, labels),
        _contingency(compared, labels),
    ]
    drawn = stressed.drawings(labels, [one.values for one in results])
    if drawn:
        about = "R@1 under the strict protocol; shaded or with whiskers: 95 % intervals; dashed: the pictures as they are."
        body += [parts.heading("Under stress"), parts.note(about), parts.legend(labels), drawn]
        body.append(parts.folded("Differences under stress as a table", _under_stress(compared, labels)))
    away = distances(labels, [one.facts.other_SQ for one in results])
    body += [*away[:2], parts.legend(labels), *away[2:]] if away else []
    body += [parts.heading("How these were made"), _made(results, labels)]
    first = results[0].values
    return parts.write_page(folder / COMPARED, f"{len(rows)} models on {first['dataset']} {first['split']}", body)


def pair_name(pair: Mapping[str, Any], labels: Sequence[str]) -> str:
    """Which one is taken from which."""
    return f"{labels[pair['other']]} − {labels[pair['one']]}"


def difference_cell(name: str, row: Mapping[str, Any]) -> str:
    """A difference and its interval."""
    low, high = row["interval95"]
    return f"{difference_text(name, row['difference'])} ({difference_text(name, low)} to {difference_text(name, high)})"


def _verdict(compared: Mapping[str, Any], labels: Sequence[str]) -> str:
    rows = compared["results"]
    order = sorted(range(len(rows)), key=lambda number: -rows[number]["strict"]["R@1"])
    first, second = order[:2]
    pair = next(pair for pair in compared["pairs"] if {pair["one"], pair["other"]} == {first, second})
    sure = pair["differences"]["R@1"]["excludes0"]
    value = abs(pair["differences"]["R@1"]["difference"])
    doubt = "which the paired interval confirms" if sure else "which the paired interval does not tell from zero"
    return f"{labels[first]} leads {labels[second]} by {100 * value:.1f} points of R@1, {doubt}."


def _scores(rows: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> str:
    names = shown_metrics([side for row in rows for side in (row["paper"], row["strict"])])
    values_of: dict[str, list[float]] = {name: [row["strict"][name] for row in rows if name in row["strict"]] for name in names}
    cells = []
    for name in names:
        best = (min if is_distance(name) else max)(values_of[name], default=None)
        line = [escape(name)]
        for row in rows:
            paper, strict = row["paper"].get(name), row["strict"].get(name)
            mark = ' class="sure"' if strict is not None and strict == best else ""
            below = interval_text(name, row["intervals95"].get(name)) + ("" if paper is None else f"; paper {score_text(name, paper)}")
            line.append(f"<span{mark}>{score_text(name, strict)}</span><small>{below}</small>")
        cells.append(line)
    return f'<div class="stacked">{parts.table(["metric, strict", *labels], cells)}</div>'


def _forest(compared: Mapping[str, Any], labels: Sequence[str]) -> list[tuple[str, Point]]:
    rows = []
    for pair in compared["pairs"]:
        found = pair["differences"]["R@1"]
        rows.append((pair_name(pair, labels), Point(found["difference"], *found["interval95"])))
    return rows


def _differences(compared: Mapping[str, Any], labels: Sequence[str]) -> str:
    names = shown_metrics(pair["differences"] for pair in compared["pairs"])
    columns = [_cells(pair["differences"], names) for pair in compared["pairs"]]
    rows = [[escape(name), *(column[number] for column in columns)] for number, name in enumerate(names)]
    return parts.table(["difference", *(pair_name(pair, labels) for pair in compared["pairs"])], rows)


def _cells(found: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    cells = []
    for name in names:
        text = difference_cell(name, found[name]) if name in found else "-"
        cells.append(f'<span class="sure">{text}</span>' if name in found and found[name]["excludes0"] else text)
    return cells


def _contingency(compared: Mapping[str, Any], labels: Sequence[str]) -> str:
    head = ["first image right", "both", "only the first named", "only the second", "neither"]
    rows = []
    for pair in compared["pairs"]:
        count = pair["first_right"]
        name = f"{escape(labels[pair['one']])} and {escape(labels[pair['other']])}"
        rows.append([name, *(str(count[which]) for which in ("both", "one", "other", "neither"))])
    return parts.table(head, rows)


def _under_stress(compared: Mapping[str, Any], labels: Sequence[str]) -> str:
    html = []
    for pair in compared["pairs"]:
        rows = []
        for row in pair["stress"]:
            level = f"{row['level'] * axis_of(row['dial']).factor:g}"
            names = [name for name in ("R@1", "AP", "Dis@1") if name in row["differences"]]
            rows.append([escape(dial_name(row["dial"])), level, side_name(row["side"]), *_cells(row["differences"], names)])
        if rows:
            html.append(f"<h3>{escape(pair_name(pair, labels))}</h3>{parts.table(['dial', 'level', 'changed', *names], rows)}")
    return "".join(html)


def _made(results: Sequence[Results], labels: Sequence[str]) -> str:
    rows = []
    for label, one in zip(labels, results, strict=True):
        model, about = one.values["model"], one.values.get("environment", {})
        cells = [label, str(model["name"]), str(model.get("sha256", ""))[:16], f"{model.get('dim', '')}", str(one.values["seed"])]
        cells += [f"{about.get('crossfix')}, {str(about.get('commit') or 'unknown')[:10]}", one.where]
        rows.append([escape(cell) for cell in cells])
    return parts.table(["", "model", "sha256, its beginning", "entries", "seed", "crossfix, commit", "file"], rows)
