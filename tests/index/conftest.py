"""A small map and a describer that needs no network."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossfix.index.build import build_index
from crossfix.index.store import MapIndex
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap
from rasters import town
from toy_describer import ToyDescriber

PLAN = TilingPlan((40.0, 100.0))


@pytest.fixture
def plan() -> TilingPlan:
    return PLAN


@pytest.fixture
def describer() -> ToyDescriber:
    return ToyDescriber()


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    return town(tmp_path / "town.tif")


@pytest.fixture
def index(raster: Path, describer: ToyDescriber, tmp_path: Path) -> MapIndex:
    with GeoMap.open([raster]) as geomap:
        return build_index(geomap, describer, tmp_path / "town.cfx", PLAN)
