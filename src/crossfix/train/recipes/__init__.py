"""Recipes: a function each, returning a typed config.

A recipe's docstring begins with the command that runs it and says what hardware and hours to expect, which published number it aims at, and
where that stands. Hours and memory are reckoned from the networks' operations unless they are said to be measured.
"""

from __future__ import annotations

from collections.abc import Callable

from crossfix.errors import InputError
from crossfix.train.config import TrainConfig
from crossfix.train.recipes import cvcities, gengeo, geolink, sample4geo, worlds

RECIPES: dict[str, Callable[[], TrainConfig]] = {
    "gengeo-tiny": worlds.gengeo_tiny,
    "gengeo-tiny-drone": worlds.gengeo_tiny_drone,
    "gengeo-tiny-weather": worlds.gengeo_tiny_weather,
    "gengeo-cvusa": gengeo.gengeo_cvusa,
    "gengeo-cvact": gengeo.gengeo_cvact,
    "gengeo-vigor-same": gengeo.gengeo_vigor_same,
    "gengeo-vigor-cross": gengeo.gengeo_vigor_cross,
    "sample4geo-cvusa": sample4geo.sample4geo_cvusa,
    "sample4geo-cvact": sample4geo.sample4geo_cvact,
    "sample4geo-vigor-same": sample4geo.sample4geo_vigor_same,
    "sample4geo-vigor-cross": sample4geo.sample4geo_vigor_cross,
    "sample4geo-university1652": sample4geo.sample4geo_university1652,
    "cvcities-cvusa": cvcities.cvcities_cvusa,
    "cvcities-cvact": cvcities.cvcities_cvact,
    "cvcities-vigor-same": cvcities.cvcities_vigor_same,
    "cvcities-vigor-cross": cvcities.cvcities_vigor_cross,
    "cvcities-university1652": cvcities.cvcities_university1652,
    "geolink-university1652": geolink.geolink_university1652,
    "geolink-sues200": geolink.geolink_sues200,
    "geolink-denseuav": geolink.geolink_denseuav,
}


def recipe(name: str) -> TrainConfig:
    """The config of a named recipe.

    Raises:
        InputError: where there is none of this name.
    """
    if name not in RECIPES:
        raise InputError("there is no such recipe", where=name, mend=f"choose one of {', '.join(RECIPES)}")
    return RECIPES[name]()
