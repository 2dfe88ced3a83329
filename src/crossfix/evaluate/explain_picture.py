"""The picture of an explanation: both pictures as they are, below them their tokens in the colours of their clusters, beside them the sum.

A token has the colour of the cluster that takes most of it, as opaque as it is kept; what goes to the dustbin is greyed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from crossfix.evaluate.explain import Assigned, Explanation

Pixels = npt.NDArray[np.uint8]

#: Colours of the clusters that add most, most first; bright enough to be told apart on imagery.
PALETTE = (
    (255, 179, 0),
    (0, 125, 255),
    (231, 41, 60),
    (0, 190, 110),
    (190, 80, 255),
    (255, 122, 20),
    (0, 210, 230),
    (255, 105, 190),
    (170, 220, 0),
    (120, 110, 255),
    (255, 235, 60),
    (140, 30, 90),
    (0, 110, 120),
    (255, 175, 150),
    (20, 50, 170),
    (150, 85, 20),
)
OTHER = (235, 235, 235)
DUSTBIN = (112, 112, 112)
_INK, _FAINT, _PAPER = (28, 30, 34), (110, 114, 120), (255, 255, 255)
_PANEL, _GAP, _LEGEND = 440, 16, 350
_MOST_OPAQUE = 0.72
_ROOM_FOR_NUMBER, _WELL = 26, 0.3


def draw(explanation: Explanation, photo_name: str = "photo", chip_name: str = "chip") -> Image.Image:
    """Draw an explanation.

    Args:
        explanation: what to draw.
        photo_name: title of the photo's column.
        chip_name: title of the chip's column.

    Returns:
        An RGB picture about 1300 pixels wide.
    """
    colours = cluster_colours(explanation)
    # Both pictures share one scale of opacity, so that they can be compared.
    full = max(float(side.kept_of_token.max()) for side in (explanation.photo, explanation.chip))
    columns = [
        (explanation.photo, photo_name, explanation.photo.kept),
        (explanation.chip, chip_name, explanation.chip.kept),
    ]
    heights = [max(1, round(_PANEL * side.pixels.shape[0] / side.pixels.shape[1])) for side, _, _ in columns]
    sheet = Image.new("RGB", (2 * _PANEL + _LEGEND + 4 * _GAP, max(640, 2 * max(heights) + 3 * _GAP + 72)), _PAPER)
    pen = _Pen(ImageDraw.Draw(sheet))
    for number, ((side, name, kept), height) in enumerate(zip(columns, heights, strict=True)):
        left, top = _GAP + number * (_PANEL + _GAP), _GAP
        pen.text((left, top), name, 17, _INK, room=_PANEL)
        size = (_PANEL, height)
        sheet.paste(Image.fromarray(np.ascontiguousarray(side.pixels)).resize(size, Image.Resampling.LANCZOS), (left, top + 26))
        below = top + 26 + height + _GAP
        sheet.paste(Image.fromarray(overlay(side, colours, size, full)), (left, below))
        _numbers(pen, side, (left, below), size, full)
        pen.text((left, below + height + 8), f"{kept:.0%} of its tokens' mass reached clusters", 15, _FAINT, room=_PANEL)
    _legend(pen, explanation, colours, full, 3 * _GAP + 2 * _PANEL)
    return sheet


def cluster_colours(explanation: Explanation) -> npt.NDArray[np.float32]:
    """A colour a cluster, (M, 3) from 0 to 255: those that add most to the similarity have one of their own, the others one together."""
    colours = np.tile(np.array(OTHER, np.float32), (len(explanation.cluster_parts_M), 1))
    for cluster, colour in zip(explanation.ranked, PALETTE, strict=False):
        colours[cluster] = colour
    return colours


def overlay(side: Assigned, colours: npt.NDArray[np.float32], size: tuple[int, int], full: float) -> Pixels:
    """A picture with its tokens coloured.

    Args:
        side: the picture and its plan.
        colours: (M, 3), a colour a cluster.
        size: width and height of the result.
        full: kept mass of a token that is drawn at the highest opacity.
    """
    width, height = size
    picture = np.asarray(Image.fromarray(np.ascontiguousarray(side.pixels)).resize(size, Image.Resampling.LANCZOS), np.float32)
    rows, columns = side.kept_of_token.shape
    at = np.ix_(np.arange(height) * rows // height, np.arange(width) * columns // width)
    kept = np.clip(side.kept_of_token / max(full, 1e-9), 0, 1)[at][..., None]
    colour = colours[side.plan_MRC.argmax(0)][at]
    grey = 0.45 * picture.mean(2, keepdims=True) + 0.55 * np.array(DUSTBIN, np.float32)
    base = kept * picture + (1 - kept) * grey
    opacity = _MOST_OPAQUE * kept
    out: Pixels = np.rint((1 - opacity) * base + opacity * colour).astype(np.uint8)
    return out


@dataclass(frozen=True)
class _Pen:
    """Writes and fills on a sheet."""

    draw: ImageDraw.ImageDraw

    def text(self, xy: tuple[float, float], words: str, size: int, ink: tuple[int, int, int], room: float | None = None) -> None:
        """Words with their upper left corner at xy, cut with an ellipsis where they are longer than the room in pixels."""
        font = ImageFont.load_default(size)
        if room is not None and self.draw.textlength(words, font) > room:
            while words and self.draw.textlength(words + "…", font) > room:
                words = words[:-1]
            words += "…"
        self.draw.text(xy, words, ink, font)

    def right(self, xy: tuple[float, float], words: str, size: int, ink: tuple[int, int, int]) -> None:
        """Words with their upper right corner at xy."""
        font = ImageFont.load_default(size)
        self.draw.text((xy[0] - self.draw.textlength(words, font), xy[1]), words, ink, font)

    def outlined(self, xy: tuple[float, float], words: str, size: int) -> None:
        """White words with a dark edge, legible on any picture."""
        self.draw.text(xy, words, _PAPER, ImageFont.load_default(size), stroke_width=2, stroke_fill=_INK)

    def box(self, left: float, top: float, width: float, height: float, colour: tuple[int, ...], edge: bool = False) -> None:
        """A filled box."""
        self.draw.rectangle((left, top, left + max(width, 1), top + height), fill=colour, outline=_FAINT if edge else None)


def _numbers(pen: _Pen, side: Assigned, corner: tuple[int, int], size: tuple[int, int], full: float) -> None:
    """The clusters' numbers on the tokens that are kept well, where there is room for them."""
    rows, columns = side.kept_of_token.shape
    wide, high = size[0] / columns, size[1] / rows
    if min(wide, high) < _ROOM_FOR_NUMBER:
        return
    for row, column in zip(*np.nonzero(side.kept_of_token > _WELL * full), strict=True):
        at = (corner[0] + column * wide + 4, corner[1] + row * high + 2)
        pen.outlined(at, str(side.plan_MRC[:, row, column].argmax()), 13)


def _legend(pen: _Pen, explanation: Explanation, colours: npt.NDArray[np.float32], full: float, left: float) -> None:
    pen.text((left, _GAP), f"Similarity {explanation.similarity:.3f}", 26, _INK)
    pen.text((left, _GAP + 36), ", ".join(filter(None, (explanation.model_id, explanation.turned))), 15, _FAINT, room=_LEGEND)
    pen.text((left, _GAP + 68), "What adds to it", 17, _INK)
    listed = explanation.ranked[: len(PALETTE)]
    rest = explanation.ranked[len(PALETTE) :]
    parts = explanation.cluster_parts_M
    lines = [(f"cluster {j}", float(parts[j]), tuple(int(v) for v in colours[j])) for j in listed]
    if rest:
        lines.append((f"{len(rest)} other clusters", float(parts[rest].sum()), OTHER))
    lines.append(("global part", explanation.global_part, _INK))
    longest = max(float(np.abs(parts).max()), abs(explanation.global_part), 1e-9)
    top = _GAP + 98.0
    for name, part, colour in lines:
        pen.box(left, top + 1, 15, 15, colour, edge=True)
        pen.text((left + 24, top), name, 15, _INK)
        pen.box(left + 142, top + 4, 80 * min(abs(part) / longest, 1), 9, _FAINT if part >= 0 else PALETTE[2])
        share = explanation.share(part)
        pen.right((left + 290, top), f"{part:+.3f}", 15, _INK)
        pen.right((left + _LEGEND, top), "" if share is None else f"{share:.0%}", 15, _INK)
        top += 25
    top += 14
    pen.box(left, top + 1, 15, 15, DUSTBIN, edge=True)
    pen.text((left + 24, top), f"left out (dustbin: {explanation.dustbin})", 15, _INK)
    notes = ("Colour: the cluster that takes most of a token.", f"Opacity: how much of it is kept, full at {full:.2f}.")
    for line, note in enumerate(notes):
        pen.text((left, top + 30 + 22 * line), note, 14, _FAINT)
