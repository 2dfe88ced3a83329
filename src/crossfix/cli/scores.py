"""The table that shows what a protocol's own script says, and the strict scores with their intervals beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from crossfix.errors import InputError

SIDES = ("paper", "strict")
_SHOWN_MA = ("MA@5", "MA@10", "MA@20", "MA@50", "MA@100")


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
    for name in dict.fromkeys(name for side in sides for name in scores[side]):
        if name.startswith("MA@") and name not in _SHOWN_MA:
            continue
        low, high = intervals95.get(name, (None, None))
        interval = "-" if low is None else f"{_text(name, low)} to {_text(name, high)}"
        table.add_row(name, *(_text(name, scores[side].get(name)) for side in sides), *([interval] if strict else []))
    return table


def _text(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} m" if name.startswith("Dis@") else f"{100 * value:.2f} %"
