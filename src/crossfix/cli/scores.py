"""The table that shows what a protocol's own script says, and the strict scores with their intervals beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from crossfix.errors import InputError
from crossfix.evaluate.report.wording import difference_text, score_text, shown_metrics

SIDES = ("paper", "strict")


def chosen_sides(text: str | None, option: str) -> tuple[str, ...]:
    """Both sides, or the one that an option names.

    Raises:
        InputError: for another word.
    """
    if text is None:
        return SIDES
    if text not in SIDES:
        raise InputError(f"there is no side {text!r}", where=option, mend=f"use {' or '.join(SIDES)}")
    return (text,)


def chosen_protocol(text: str | None) -> tuple[tuple[str, ...], str | None]:
    """The sides to show, and the published protocol to score by where it is not to be the set's own.

    Raises:
        InputError: for a word that is neither.
    """
    if text is None or text in SIDES:
        return chosen_sides(text, "--protocol"), None
    from crossfix.evaluate.protocols import PROTOCOLS  # takes a while: --help must not wait for it

    if text not in PROTOCOLS:
        raise InputError(f"there is no side or protocol {text!r}", where="--protocol", mend=f"use {', '.join((*SIDES, *PROTOCOLS))}")
    return SIDES, text


def scores_table(title: str, scores: Mapping[str, Mapping[str, float | None]], intervals95: Mapping[str, Sequence[float]]) -> Table:
    """A row a metric.

    Args:
        title: of the table.
        scores: by side, then by metric; sides without scores have no column.
        intervals95: of the strict scores.
    """
    sides = [side for side in scores if scores[side]]
    strict = "strict" in sides
    table = Table("metric", *sides, *(["95 % interval"] if strict else []), title=title)
    for name in shown_metrics(scores[side] for side in sides):
        low, high = intervals95.get(name, (None, None))
        interval = "-" if low is None else f"{score_text(name, low)} to {score_text(name, high)}"
        table.add_row(name, *(score_text(name, scores[side].get(name)) for side in sides), *([interval] if strict else []))
    return table


def compared_tables(compared: Mapping[str, Any]) -> list[Table]:
    """Several results side by side, and their differences pair by pair.

    Args:
        compared: what `crossfix.evaluate.compare.compare` says.
    """
    rows, pairs = compared["results"], compared["pairs"]
    title = f"{compared['dataset']} {compared['split']} {compared['direction']}, strict"
    scores = Table("metric", *(row["label"] for row in rows), title=title)
    for name in shown_metrics(row["strict"] for row in rows):
        scores.add_row(name, *(score_text(name, row["strict"].get(name)) for row in rows))
    names = [name for name in ("R@1", "R@5", "AP", "hit", "Dis@1") if all(name in pair["differences"] for pair in pairs)]
    apart = Table("difference, points (Dis@1: m)", *names, title="query by query, 95 % intervals")
    for pair in pairs:
        cells = []
        for name in names:
            found = pair["differences"][name]
            low, high = (difference_text(name, end) for end in found["interval95"])
            cells.append(f"{difference_text(name, found['difference'])} ({low} to {high}){'*' if found['excludes0'] else ''}")
        apart.add_row(f"{rows[pair['other']]['label']} − {rows[pair['one']]['label']}", *cells)
    return [scores, apart]
