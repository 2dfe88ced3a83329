"""How scores, settings and dials are called wherever people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SHOWN_MA = ("MA@5", "MA@10", "MA@20", "MA@50", "MA@100")


def shown_metrics(sides: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of the metrics that tables show, in order: of the hundred MA@K a few."""
    names = dict.fromkeys(name for side in sides for name in side)
    return [name for name in names if not name.startswith("MA@") or name in _SHOWN_MA]


def score_text(name: str, value: float | None) -> str:
    """A score with its unit: metres of a distance, else per cent."""
    if value is None:
        return "-"
    return f"{value:.1f} m" if is_distance(name) else f"{100 * value:.2f} %"


def interval_text(name: str, interval: Sequence[float] | None) -> str:
    """An interval, the unit once."""
    if interval is None:
        return "-"
    low, high = interval
    return f"{low:.1f} to {high:.1f} m" if is_distance(name) else f"{100 * low:.1f} to {100 * high:.1f} %"


def difference_text(name: str, value: float) -> str:
    """A difference with its sign; of fractions, in percentage points."""
    text = f"{value:+.1f}" if is_distance(name) else f"{100 * value:+.1f}"
    return text.replace("-", "−").replace("−0.0", "0.0").replace("+0.0", "0.0")


def counted(number: int) -> str:
    """A count with thin spaces between thousands."""
    return f"{number:,}".replace(",", "\u202f")


def is_distance(name: str) -> bool:
    """Whether a metric is in metres, where less is better."""
    return name.startswith("Dis@")


@dataclass(frozen=True)
class Axis:
    """How the levels of a dial lie on an axis.

    Attributes:
        title: with the unit.
        level: a level in words, ``{}`` for its number.
        neutral: the level at which a picture is as it is; None where the dial has none.
        factor: by which levels are multiplied to be shown.
        log: whether equal ratios lie equally far apart.
        falling: whether the levels fall from left to right, so that it gets worse to the right.
    """

    title: str
    level: str
    neutral: float | None = 0.0
    factor: float = 1.0
    log: bool = False
    falling: bool = False


_TURN = Axis("heading off by up to, degrees", "up to {} degrees")
_AXES = {
    "heading": _TURN,
    "turn": _TURN,
    "fov": Axis("field of view, degrees, any heading", "{} degrees", None, log=True, falling=True),
    "fov_aligned": Axis("field of view, degrees", "{} degrees", 360.0, log=True, falling=True),
    "perspective": Axis("field of view of the cut-out, degrees", "{} degrees", None, log=True, falling=True),
    "shift": Axis("off-centre by, % of the side", "{} % of the side", factor=100.0),
    "scale": Axis("side of the chip, times the true one", "{} times the side", 1.0, log=True),
    "rectangles": Axis("hidden, % of the picture", "{} % hidden", factor=100.0),
    "blob": Axis("hidden, % of the picture", "{} % hidden", factor=100.0),
}
_NAMES = {
    "heading": "Heading of panoramas",
    "turn": "Heading",
    "quarter_turn": "Quarter turns",
    "fov": "Field of view",
    "fov_aligned": "Field of view, heading known",
    "perspective": "Perspective cut-out",
    "shift": "Off-centre",
    "scale": "Wrong scale",
    "rectangles": "Hidden by rectangles",
    "blob": "Hidden by a blob",
}


def axis_of(dial: str) -> Axis:
    """The axis of a dial's levels."""
    return _AXES.get(dial, Axis("severity", "severity {}"))


def setting_name(row: Mapping[str, Any]) -> str:
    """The setting of a row under ``stress`` in words."""
    axis = axis_of(row["dial"])
    level = axis.level.format(f"{row['level'] * axis.factor:g}")
    return f"{dial_name(row['dial'])}, {level} ({side_name(row['side'])})"


def dial_name(dial: str) -> str:
    """A dial's name for people."""
    family, _, kind = dial.partition("-")
    if kind:
        words = kind.replace("_", " and " if family == "weather" else " ")
        return words[:1].upper() + words[1:]
    return _NAMES.get(dial, family.replace("_", " "))


def family_of(dial: str) -> str:
    """What a dial belongs to: weather, corruptions, or geometry and occlusion."""
    return {"weather": "Weather and light", "corruption": "Corruptions"}.get(dial.partition("-")[0], "Geometry and occlusion")


def side_name(side: str) -> str:
    """Which half of the task is changed."""
    return {"query": "queries", "gallery": "gallery"}.get(side, side)
