"""A picture of trials: by how much each variant differs from the first, group by group, with intervals. One SVG file without scripts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

_LABEL, _COLUMN, _ROW, _TOP, _GAP = 130, 150, 26, 58, 14
_STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_STYLE = """
text{font:12px system-ui,sans-serif;fill:#222}.mid{text-anchor:middle}
.end{text-anchor:end}.small{font-size:10px;fill:#555}.strong{font-weight:600}
.grid{stroke:#e4e2dc}.zero{stroke:#555}.span{stroke:#888;stroke-width:2}.dot{fill:#fff;stroke:#888;stroke-width:1.5}
.better .span{stroke:#1b6e4b}.better .dot{fill:#1b6e4b;stroke:#1b6e4b}.worse .span{stroke:#b3401f}.worse .dot{fill:#b3401f;stroke:#b3401f}
"""


def differences_svg(results: Mapping[str, Any]) -> str:
    """Rows of variants, columns of groups, all columns on one scale of percentage points.

    Intervals that leave zero out are coloured, and their dots filled: better than the first variant, or worse.

    Args:
        results: what `run_trials` returned, with two variants or more.
    """
    first = next(iter(results["trials"]))
    rows: Mapping[str, Any] = results["differences"]
    groups: list[str] = results["groups"]
    ends = [bound for row in rows.values() for cell in row.values() for bound in cell["interval95"]]
    reach: float = max(0.02, *(abs(end) for end in ends)) * 1.05
    step = next((size for size in _STEPS if reach / size <= 3), _STEPS[-1])
    wide, tall = _LABEL + len(groups) * (_COLUMN + _GAP), _TOP + _ROW * len(rows) + 34
    bottom = tall - 30
    parts = [f'<text class="strong" x="8" y="18">R@1 less that of {escape(first)}, percentage points</text>']
    for column, group in enumerate(groups):
        middle = _LABEL + column * (_COLUMN + _GAP) + _COLUMN / 2

        def across(value: float, middle: float = middle) -> float:
            return middle + value / reach * _COLUMN / 2

        level = results["table"][first][group]["value"]
        parts.append(f'<text class="mid strong" x="{middle:.1f}" y="36">{escape(group)}</text>')
        parts.append(f'<text class="mid small" x="{middle:.1f}" y="50">{escape(first)}: {100 * level:.1f} %</text>')
        for count in range(-int(reach / step), int(reach / step) + 1):
            x = across(count * step)
            parts.append(f'<path class="{"grid" if count else "zero"}" d="M{x:.1f} {_TOP}V{bottom}"/>')
            label = f"{100 * count * step:+g}".replace("-", "−") if count else "0"
            parts.append(f'<text class="mid small" x="{x:.1f}" y="{bottom + 14}">{label}</text>')
        for place, (name, row) in enumerate(rows.items()):
            value, (low, high) = row[group]["value"], row[group]["interval95"]
            y = _TOP + _ROW * (place + 0.5)
            kind = "better" if low > 0 else "worse" if high < 0 else ""
            parts.append(
                f'<g class="{kind}"><path class="span" d="M{across(low):.1f} {y}H{across(high):.1f}"/>'
                f'<circle class="dot" cx="{across(value):.1f}" cy="{y}" r="4"/>'
                f"<title>{escape(name)}, {escape(group)}: {100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})</title></g>"
            )
    for place, name in enumerate(rows):
        parts.append(f'<text class="end" x="{_LABEL - 8}" y="{_TOP + _ROW * (place + 0.5) + 4}">{escape(name)}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" width="{wide}" height="{tall}">'
    return f'{head}<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
