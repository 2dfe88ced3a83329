"""Queries with the images found for them, as small pictures inside the page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from crossfix.data.view import View
from crossfix.evaluate.examples import Example, Found
from crossfix.evaluate.report.picture import jpeg_uri
from crossfix.evaluate.stress import Setting, image_id, stressed
from crossfix.evaluate.task import Measured

_QUERY_PX, _FOUND_PX, _HIGH_PX = 260, 168, 168
_QUALITY = 72


class Gallery:
    """Draws examples until the page has had enough.

    Args:
        measured: whose examples.
        budget: bytes that the pictures may take.
    """

    def __init__(self, measured: Measured, budget: int) -> None:
        self.measured = measured
        self.left = budget
        self.left_out = 0

    def rows(self, examples: Sequence[Example], setting: Setting | None = None) -> str:
        """Examples, one under the other.

        Args:
            examples: which.
            setting: under which pictures are shown; None as they are.

        Raises:
            DataError: where an image cannot be read any more.
        """
        html = []
        for example in examples:
            if self.left <= 0:
                self.left_out += 1
                continue
            html.append(self._row(example, setting))
            self.left -= len(html[-1])
        return "".join(html)

    def _row(self, example: Example, setting: Setting | None) -> str:
        task = self.measured.task
        query = task.query[example.query]
        picture = self._picture(query, setting if setting and setting.side == "query" else None, _QUERY_PX)
        rank = "found first" if example.rank == 1 else f"right image at rank {example.rank}"
        name = image_id(query, self.measured.root)
        figures = [
            f'<figure class="query"><img class="shot" alt="query" src="{picture}"><figcaption>query, {rank}'
            f"<small>{escape(name)}</small></figcaption></figure>"
        ]
        figures += [self._found(found, setting) for found in example.found]
        if example.missed is not None:
            figures.append(self._found(example.missed, setting, " missed"))
        return f'<div class="card example">{"".join(figures)}</div>'

    def _found(self, found: Found, setting: Setting | None, more: str = "") -> str:
        view = self.measured.task.gallery[found.row]
        picture = self._picture(view, setting if setting and setting.side == "gallery" else None, _FOUND_PX)
        word = "✓ right" if found.right else "✗ wrong"
        far = "" if found.distance_m is None else f", {_metres(found.distance_m)}"
        words = f"{found.rank}. <b>{word}</b><small>cosine {found.similarity:.3f}{far}</small><small>{escape(view.place)}</small>"
        kind = "right" if found.right else "wrong"
        alt = f"{'right' if found.right else 'wrong'} image at rank {found.rank}"
        return f'<figure class="{kind}{more}"><img class="shot" alt="{alt}" src="{picture}"><figcaption>{words}</figcaption></figure>'

    def _picture(self, view: View, setting: Setting | None, px: int) -> str:
        picture = view.read()
        if setting is not None:
            seed = int(self.measured.results.values["seed"])
            picture = stressed(picture, view, self.measured.root, setting, seed)
        return jpeg_uri(picture, _QUALITY, within=(px, _HIGH_PX))


def _metres(distance_m: float) -> str:
    return f"{distance_m:.0f}\u00a0m" if distance_m < 9999.5 else f"{distance_m / 1000:.0f}\u00a0km"
