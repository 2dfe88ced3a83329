"""Procedural places with exact geometry, rendered into map, drone and ground views.

A :class:`World` is a square of Earth of one :class:`Region` style. An :class:`Epoch` is a day it is seen on: sun, season, haze, cars,
what has been built or felled since. ``world.scene(epoch)`` gives the :class:`Scene` that renders views.

Frame: local (east, north, up) metres about the world's centre; up 0 is the mean ground.
"""

from crossfix.worlds.epoch import Epoch
from crossfix.worlds.region import Region
from crossfix.worlds.regions import REGIONS, region_named
from crossfix.worlds.scene import Scene, Shot
from crossfix.worlds.world import World

__all__ = ["World", "Region", "REGIONS", "region_named", "Epoch", "Scene", "Shot"]
