"""SUES-200's tree as its authors' script splits it: four heights, 50 drone views a place at each, one satellite image."""

from __future__ import annotations

from functools import partial
from typing import Any

from crossfix.data.sues200 import HEIGHTS_M, SHOTS, TEST_PLACES, TESTING, TRAIN_PLACES, TRAINING
from crossfix.errors import InputError
from crossfix.worlds.sets.plan import Rows, SetPlan, SetWriter
from crossfix.worlds.sites import Ground, Site, Studio

PX = 512
_PITCH_DEG = -60.0
_FOV_DEG = 55.0
_SIDE_M = 220.0
_PLACES = {"train": TRAIN_PLACES, "test": TEST_PLACES}


class Sues200Writer(SetWriter):
    """A circle of 50 views about each place at 150, 200, 250 and 300 m. Both galleries hold the places of both halves, as published."""

    name = "sues200"

    def __init__(self, root: Any, plan: SetPlan) -> None:  # noqa: ANN401 - a path, as for every writer
        super().__init__(root, plan)
        most = min(len(_PLACES[half]) for half in plan.halves)
        if plan.places > most:
            raise InputError(f"SUES-200 has {most} places to a half, not {plan.places}", mend=f"give --places at most {most}")

    def ground(self, half: str) -> Ground:
        """Places 90 m apart and more."""
        return Ground(self.plan.regions, 900.0, 90.0)

    def take(self, studio: Studio, site: Site, half: str) -> dict[str, Any]:
        """All pictures of a place."""
        place, px = _PLACES[half][site.number], self.plan.px(PX)
        for height in HEIGHTS_M:
            folders = self._folders(half, height)
            for shot in range(SHOTS):
                camera = studio.camera(site, (px, px), float(height), _PITCH_DEG, (360 * shot / SHOTS + 97 * site.number) % 360, _FOV_DEG)
                names = [f"{folder}drone/{place}/{shot}.jpg" for folder in folders]
                self.pictures(names, partial(studio.drone, site, f"{height}-{shot}", camera))
            self.pictures([f"{folder}satellite/{place}/0.png" for folder in folders], lambda: studio.satellite(site, _SIDE_M, px))
        return {}

    def lists(self, rows: dict[str, Rows]) -> None:
        """The set has none: its folders are its lists."""

    @staticmethod
    def _folders(half: str, height: int) -> list[str]:
        gallery = f"{TESTING}/{height}/gallery_"
        return [f"{TRAINING}/{height}/", gallery] if half == "train" else [f"{TESTING}/{height}/query_", gallery]
