"""Every dial by its name: what a sweep turns.

A stressed picture depends on its own bytes, the dial, the level, the image's id and the seed, and on nothing else: not on the order in
which pictures are asked for, nor on the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from crossfix.data.stress import corruptions, geometry, occlusion, weather
from crossfix.data.stress.choices import SEVERITIES, choose
from crossfix.data.stress.draws import Draws, key_of
from crossfix.data.stress.pixels import Picture, as_picture
from crossfix.data.view import ViewKind
from crossfix.errors import InputError

Side = Literal["query", "gallery"]
_BOTH: frozenset[Side] = frozenset({"query", "gallery"})
_EVERY: frozenset[ViewKind] = frozenset({"ground", "drone", "satellite"})
_OUTDOORS: frozenset[ViewKind] = frozenset({"ground", "drone"})
_DOWNWARD: frozenset[ViewKind] = frozenset({"drone", "satellite"})
_GROUND: frozenset[ViewKind] = frozenset({"ground"})
_MAP: frozenset[ViewKind] = frozenset({"satellite"})


@dataclass(frozen=True)
class Dial:
    """One way to make a picture worse.

    Attributes:
        name: as in ``DIALS``.
        levels: what it can be set to, mildest first; a scale error's are the factors themselves, from small to large.
        applies_to: which half of a benchmark it makes sense for.
        kinds: which kinds of view it makes sense for.
        change: from picture, level, key and perhaps a wider picture to the changed picture.
        takes_wider: whether it can use a wider picture of the same place.
        keeps_size: whether the result has the picture's size.
    """

    name: str
    levels: tuple[float, ...]
    applies_to: frozenset[Side]
    kinds: frozenset[ViewKind]
    change: Callable[[Picture, float, str, Picture | None], Picture]
    takes_wider: bool = False
    keeps_size: bool = True

    def apply(
        self, picture_HWC: npt.NDArray[np.uint8], level: float, key: str, *, wider_HWC: npt.NDArray[np.uint8] | None = None
    ) -> Picture:
        """The changed picture; the given one stays as it is.

        Args:
            picture_HWC: RGB, or grey as (H, W) or (H, W, 1).
            level: one of ``levels``.
            key: everything random is drawn from it.
            wider_HWC: the same place about the same middle at the same resolution and larger by an even number of pixels, RGB.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            InputError: for another level, for what is no picture, or for a wider picture that the dial has no use for.
        """
        choose(f"level of {self.name}", level, self.levels)
        if wider_HWC is not None and not self.takes_wider:
            raise InputError(f"the dial {self.name} has no use for a wider picture", mend="leave it out")
        return self.change(as_picture(picture_HWC), level, key, None if wider_HWC is None else as_picture(wider_HWC))


def stress(
    picture_HWC: npt.NDArray[np.uint8],
    kind: str,
    level: float,
    *,
    image_id: str,
    seed: int,
    fixed: bool = False,
    view: ViewKind | None = None,
    wider_HWC: npt.NDArray[np.uint8] | None = None,
) -> Picture:
    """A picture changed by one dial.

    Args:
        picture_HWC: RGB, or grey as (H, W) or (H, W, 1).
        kind: name of the dial, a key of ``DIALS``.
        level: one of the dial's levels.
        image_id: of the picture; another id draws other rain.
        seed: of the whole sweep.
        fixed: whether every picture of a size gets the same pattern, as a script that seeds anew for each picture would give.
        view: the kind of view, to be told where the dial makes no sense for it.
        wider_HWC: see ``Dial.apply``.

    Returns:
        (H, W, 3) uint8 RGB, of the same size unless the dial says otherwise.

    Raises:
        InputError: for an unknown name or level, lists what there is; for a view that the dial is not for; for what is no picture.
    """
    choose("dial", kind, tuple(DIALS))
    dial = DIALS[kind]
    if view is not None and view not in dial.kinds:
        raise InputError(f"the dial {kind} is not for {view} views", mend=f"it is for {', '.join(sorted(dial.kinds))}")
    return dial.apply(picture_HWC, level, key_of("" if fixed else image_id, kind, seed), wider_HWC=wider_HWC)


def heading_error_deg(kind: str, level: float, *, image_id: str, seed: int, fixed: bool = False) -> float:
    """By how many degrees clockwise ``stress`` turns a picture with these arguments: what to add to its heading.

    Raises:
        InputError: for a dial that turns nothing, or an unknown name or level.
    """
    choose("dial that turns pictures", kind, tuple(_TURNS))
    choose(f"level of {kind}", level, DIALS[kind].levels)
    return _TURNS[kind](level, Draws(key_of("" if fixed else image_id, kind, seed), "heading"))


def _any_heading(level: float, draws: Draws) -> float:
    return geometry.drawn_heading(180.0, draws)


def _quarters(level: float, draws: Draws) -> float:
    return 90.0 * draws.integer(0, 3)


_TURNS: dict[str, Callable[[float, Draws], float]] = {
    "heading": geometry.drawn_heading,
    "fov": _any_heading,
    "perspective": _any_heading,
    "turn": geometry.drawn_heading,
    "quarter_turn": _quarters,
}


def _turn_of(kind: str, level: float, key: str) -> float:
    return _TURNS[kind](level, Draws(key, "heading"))


def _weather(name: str, picture: Picture, level: float, key: str, wider: Picture | None) -> Picture:
    return weather.condition(picture, name, level, key)


def _corruption(name: str, picture: Picture, level: float, key: str, wider: Picture | None) -> Picture:
    return corruptions.corrupt(picture, name, level, key)


def _heading(picture: Picture, level: float, key: str, wider: Picture | None) -> Picture:
    return geometry.turned_panorama(picture, _turn_of("heading", level, key))


def _fov(picture: Picture, level: float, key: str, wider: Picture | None) -> Picture:
    return geometry.field_of_view(geometry.turned_panorama(picture, _turn_of("fov", level, key)), level)


def _fov_aligned(picture: Picture, level: float, key: str, wider: Picture | None) -> Picture:
    return geometry.field_of_view(picture, level)


def _perspective(picture: Picture, level: float, key: str, wider: Picture | None) -> Picture:
    pitch_deg = Draws(key, "pitch").uniform(-geometry.PITCH_DEG, geometry.PITCH_DEG)
    return geometry.perspective(picture, heading_deg=_turn_of("perspective", level, key), pitch_deg=pitch_deg, fov_deg=level)


def _turn(picture: Picture, level: float, key: str, wider: Picture | None) -> Picture:
    return geometry.turned(picture, _turn_of("turn", level, key), wider)


def _quarter_turn(picture: Picture, level: float, key: str, wider: Picture | None) -> Picture:
    return geometry.quarter_turned(picture, round(_turn_of("quarter_turn", level, key) / 90))


def _shift(picture: Picture, level: float, key: str, wider: Picture | None) -> Picture:
    return geometry.shifted(picture, level, Draws(key, "towards").uniform(0, 360), wider)


def _scale(picture: Picture, level: float, key: str, wider: Picture | None) -> Picture:
    return geometry.scaled(picture, level, wider)


def _rectangles(picture: Picture, level: float, key: str, wider: Picture | None) -> Picture:
    return occlusion.rectangles(picture, level, Draws(key, "rectangles"))


def _blob(picture: Picture, level: float, key: str, wider: Picture | None) -> Picture:
    return occlusion.blob(picture, level, Draws(key, "blob"))


_ALL = (
    *(Dial(f"weather-{name}", SEVERITIES, _BOTH, _OUTDOORS, partial(_weather, name)) for name in weather.CONDITIONS),
    *(Dial(f"corruption-{name}", SEVERITIES, _BOTH, _EVERY, partial(_corruption, name)) for name in corruptions.CORRUPTIONS),
    Dial("heading", geometry.HEADINGS, _BOTH, _GROUND, _heading),
    Dial("fov", geometry.FIELDS, frozenset({"query"}), _GROUND, _fov, keeps_size=False),
    Dial("fov_aligned", geometry.FIELDS, frozenset({"query"}), _GROUND, _fov_aligned, keeps_size=False),
    Dial("perspective", geometry.PHONE_FIELDS, frozenset({"query"}), _GROUND, _perspective, keeps_size=False),
    Dial("turn", geometry.HEADINGS, _BOTH, _DOWNWARD, _turn, takes_wider=True),
    Dial("quarter_turn", (1.0,), _BOTH, _DOWNWARD, _quarter_turn, keeps_size=False),
    Dial("shift", geometry.SHIFTS, _BOTH, _MAP, _shift, takes_wider=True),
    Dial("scale", geometry.SCALES, _BOTH, _MAP, _scale, takes_wider=True),
    Dial("rectangles", occlusion.SHARES, _BOTH, _EVERY, _rectangles),
    Dial("blob", occlusion.SHARES, _BOTH, _EVERY, _blob),
)

DIALS: dict[str, Dial] = {dial.name: dial for dial in _ALL}
