from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from crossfix.errors import InputError
from crossfix.geo.tiles import (
    MAX_LATITUDE,
    Bounds,
    Tile,
    flip_row,
    ground_resolution_m,
    tile_at,
    tile_bounds,
    tile_bounds_mercator,
    tiles_in,
    zoom_for,
)
from shared import SHARED, needs_shared

to_mercator = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform


def test_convention_rows_are_counted_from_the_north():
    assert tile_at(-179.0, 80.0, 1) == Tile(1, 0, 0)
    assert tile_at(179.0, -80.0, 1) == Tile(1, 1, 1)
    assert flip_row(Tile(3, 2, 0)) == Tile(3, 2, 7)


@given(st.floats(-180, 179.999999), st.floats(-85, 85), st.integers(0, 22))
def test_a_tile_holds_its_position(lon, lat, zoom):
    tile = tile_at(lon, lat, zoom)
    west, south, east, north = tile_bounds(tile)
    assert west - 1e-9 <= lon <= east + 1e-9
    assert south - 1e-9 <= lat <= north + 1e-9


@given(st.integers(0, 20), st.data())
def test_bounds_agree_with_the_projection(zoom, data):
    tile = Tile(zoom, data.draw(st.integers(0, 2**zoom - 1)), data.draw(st.integers(0, 2**zoom - 1)))
    degrees, metres = tile_bounds(tile), tile_bounds_mercator(tile)
    assert to_mercator(degrees.west, degrees.south) == pytest.approx((metres.west, metres.south), abs=1e-3)
    assert to_mercator(degrees.east, degrees.north) == pytest.approx((metres.east, metres.north), abs=1e-3)
    assert flip_row(flip_row(tile)) == tile


def test_positions_beyond_the_pyramid_belong_to_its_edge():
    assert tile_at(180.0, 89.0, 4) == Tile(4, 15, 0)
    assert tile_at(0.0, -90.0, 4).y == 15
    assert tile_bounds(Tile(0, 0, 0)) == pytest.approx((-180, -MAX_LATITUDE, 180, MAX_LATITUDE))


def test_tiles_of_a_box():
    assert list(tiles_in(Bounds(-1.0, -1.0, 1.0, 1.0), 1)) == [Tile(1, 0, 0), Tile(1, 1, 0), Tile(1, 0, 1), Tile(1, 1, 1)]
    assert len(list(tiles_in(Bounds(-180.0, -85.0, 180.0, 85.0), 3))) == 64


def test_tiles_across_the_antimeridian():
    assert [tile.x for tile in tiles_in(Bounds(178.0, 51.0, -178.5, 52.0), 4)] == [15, 0]
    assert [tile.x for tile in tiles_in(Bounds(10.0, 1.0, 5.0, 2.0), 0)] == [0]


@given(st.floats(-84, 84), st.integers(0, 25))
def test_zoom_has_pixels_as_fine_as_asked(lat, zoom):
    resolution = ground_resolution_m(lat, zoom)
    assert zoom_for(lat, resolution) == zoom
    assert zoom_for(lat, resolution * 0.99) == zoom + 1


def test_ground_resolution_shrinks_towards_the_poles():
    assert ground_resolution_m(0.0, 0) == pytest.approx(156543.033928)
    assert ground_resolution_m(60.0, 10) == pytest.approx(ground_resolution_m(0.0, 10) / 2)
    assert ground_resolution_m(46.84, 20) == pytest.approx(0.10, abs=0.003)
    assert zoom_for(0.0, 1e9) == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: tile_at(0.0, 0.0, 31),
        lambda: tile_at(0.0, math.nan, 3),
        lambda: tile_bounds(Tile(2, 4, 0)),
        lambda: flip_row(Tile(2, 0, -1)),
        lambda: zoom_for(0.0, 0.0),
        lambda: zoom_for(89.0, 1.0),
        lambda: zoom_for(0.0, 1e-9),
        lambda: list(tiles_in(Bounds(0.0, 2.0, 1.0, 1.0), 3)),
    ],
)
def test_what_does_not_exist_is_refused(call):
    with pytest.raises(InputError):
        call()


@needs_shared
def test_real_tiles_lie_where_the_arithmetic_says():
    root = SHARED / "data" / "rasters" / "brighton_xyz"
    for zoom in (18, 19, 20):
        tile = tile_at(-91.99357867, 46.84262928, zoom)
        assert (root / str(zoom) / str(tile.x) / f"{tile.y}.png").is_file()
