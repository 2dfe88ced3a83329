"""Epochs: the day a world is seen on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from crossfix.worlds.noise import keyed_rng


@dataclass(frozen=True)
class Epoch:
    """What changes in a place between two pictures of it.

    Attributes:
        seed: decides which buildings and trees are there, where cars stand, which crops grow.
        sun_azimuth_deg: bearing of the sun.
        sun_elevation_deg: its height above the horizon.
        season: 0 spring, 0.33 high summer, 0.67 autumn, 1 winter (bare and brown, without snow).
        haze_per_m: extinction of the air.
        sun_share: share of the sun in the light on level ground, the rest is the sky's.
        building_change: share of buildings missing at this epoch.
        tree_change: share of trees missing.
    """

    seed: int
    sun_azimuth_deg: float
    sun_elevation_deg: float
    season: float
    haze_per_m: float
    sun_share: float
    building_change: float = 0.03
    tree_change: float = 0.08

    @staticmethod
    def draw(seed: int, kind: str = "photo") -> Epoch:
        """A day at random.

        Args:
            seed: its seed.
            kind: a name that keeps the draws of maps and photos apart.
        """
        rng = keyed_rng(seed, "epoch", kind)
        return Epoch(
            seed=int(rng.integers(2**31)),
            sun_azimuth_deg=float(rng.uniform(80, 280)),
            sun_elevation_deg=float(rng.uniform(22, 68)),
            season=float(rng.uniform(0, 1)),
            haze_per_m=float(10 ** rng.uniform(-4.6, -3.5)),
            sun_share=float(rng.uniform(0.35, 0.85)),
        )

    @property
    def sun(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Unit vector to the sun, (3,), east north up."""
        az, el = np.radians(self.sun_azimuth_deg), np.radians(self.sun_elevation_deg)
        return np.array([np.sin(az) * np.cos(el), np.cos(az) * np.cos(el), np.sin(el)], np.float32)

    def to_dict(self) -> dict[str, float]:
        """The fields, for provenance."""
        return asdict(self)
