"""University-1652's tree: a spiral of drone views about each place, its satellite square, some street views, distractors."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from crossfix.data.university1652 import (
    DRONE,
    GALLERY_DRONE,
    GALLERY_SATELLITE,
    GALLERY_STREET,
    GOOGLE,
    QUERY_DRONE,
    QUERY_SATELLITE,
    QUERY_STREET,
    SATELLITE,
    STREET,
)
from crossfix.worlds.devices import writing
from crossfix.worlds.sets.plan import Rows, SetWriter, split_over_worlds
from crossfix.worlds.sites import Ground, Site, Studio

PX = 512
SHOTS = 54
STREETS = 3
_TURNS = 3  # of the spiral
_HEIGHT_M = (256.0, 121.5)
_PITCH_DEG = (-60.0, -42.0)
_FOV_DEG = 50.0
_SIDE_M = 180.0
_DISTRACTORS = 250 / 701


class University1652Writer(SetWriter):
    """54 drone views on three turns from 256 m down to 121.5 m about each place, as in the authors' virtual flights.

    The gallery has distractors in the published proportion, 250 to 701.
    """

    name = "university1652"

    def ground(self, half: str) -> Ground:
        """Buildings' distances: 90 m and more."""
        return Ground(self.plan.regions, 900.0, 90.0)

    def worlds(self, half: str) -> list[int]:
        """Of the test, with the distractors, which come last."""
        return split_over_worlds(self.plan.places + (round(self.plan.places * _DISTRACTORS) if half == "test" else 0))

    def take(self, studio: Studio, site: Site, half: str) -> dict[str, Any]:
        """All pictures of a place. In the test both halves hold a place's pictures, and a distractor stands in the gallery alone."""
        place = f"{site.number + 1 + (self.plan.places if half == 'test' else 0):04d}"
        distractor = half == "test" and site.number >= self.plan.places
        folders: dict[str, list[str]] = {
            "drone": [f"train/{DRONE}"] if half == "train" else [f"test/{GALLERY_DRONE}", f"test/{QUERY_DRONE}"],
            "satellite": [f"train/{SATELLITE}"] if half == "train" else [f"test/{GALLERY_SATELLITE}", f"test/{QUERY_SATELLITE}"],
            "street": [f"train/{STREET}"] if half == "train" else [f"test/{GALLERY_STREET}", f"test/{QUERY_STREET}"],
        }
        if distractor:
            folders = {kind: names[:1] for kind, names in folders.items()}
        px = (self.plan.px(PX), self.plan.px(PX))
        for shot in range(SHOTS):
            share = shot / (SHOTS - 1)
            height, pitch = (float(np.interp(share, (0, 1), ends)) for ends in (_HEIGHT_M, _PITCH_DEG))
            camera = studio.camera(site, px, height, pitch, (360 * _TURNS * share + 97 * site.number) % 360, _FOV_DEG)
            name = f"image-{shot + 1:02d}"
            names = [f"{folder}/{place}/{name}.jpeg" for folder in folders["drone"]]
            self.pictures(names, partial(studio.drone, site, name, camera))
        names = [f"{folder}/{place}/{place}.jpg" for folder in folders["satellite"]]
        self.pictures(names, lambda: studio.satellite(site, _SIDE_M, px[0]))
        for index in range(STREETS):
            names = [f"{folder}/{place}/{index + 1}.jpg" for folder in folders["street"]]
            self.pictures(names, partial(studio.street, site, index, px))
        if half == "train":  # the pictures that an image search finds: none, as in some published folders
            with writing(self.root):
                (self.root / "train" / GOOGLE / place).mkdir(parents=True, exist_ok=True)
        return {}

    def lists(self, rows: dict[str, Rows]) -> None:
        """The set has none: its folders are its lists."""
