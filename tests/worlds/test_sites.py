from __future__ import annotations

import math

import numpy as np
import pytest

from crossfix.errors import InputError
from crossfix.geo.geodesy import distance_m
from crossfix.worlds.sites import SITES_A_WORLD, Ground, Studio


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio(Ground(("farmland",), 600.0, 90.0), 5, 0)


def test_sites_keep_their_distance_and_lie_where_their_positions_say(studio: Studio):
    assert len(studio.sites) == SITES_A_WORLD
    for site in studio.sites:
        others = [math.hypot(site.east_m - o.east_m, site.north_m - o.north_m) for o in studio.sites if o is not site]
        assert min(others) >= 90
        away = distance_m(site.lon, site.lat, studio.world.frame.lon, studio.world.frame.lat)
        assert away == pytest.approx(math.hypot(site.east_m, site.north_m), abs=0.01)


def test_worlds_are_numbered_through_and_stand_kilometres_apart():
    ground = Ground(("farmland", "valley"), 400.0, 40.0, reach_m=150.0)
    one, other, above = (Studio(ground, 5, number) for number in (0, 1, 24))
    assert [site.number for site in other.sites] == list(range(12, 24))
    assert (one.sites[0].region, other.sites[0].region) == ("farmland", "valley")
    assert max(abs(site.east_m) for site in one.sites) <= 150
    for neighbour in (other, above):
        away = distance_m(one.world.frame.lon, one.world.frame.lat, neighbour.world.frame.lon, neighbour.world.frame.lat)
        assert away > 1400


def test_the_site_is_in_the_middle_of_a_drone_picture(studio: Studio):
    site = studio.sites[3]
    camera = studio.camera(site, (80, 60), 120.0, -55.0, 210.0, 60.0)
    ground = float(studio.world.ground_height(site.east_m, site.north_m))
    uv, _ = camera.project(np.array([[site.east_m, site.north_m, ground]]))
    np.testing.assert_allclose(uv[0], camera.centre_px, atol=1e-6)
    assert camera.up_m - ground == pytest.approx(120)
    assert studio.drone(site, "a", camera).shape == (60, 80, 3)


def test_pictures_stay_the_same_when_others_are_taken(studio: Studio):
    site = studio.sites[0]
    first = studio.satellite(site, 80.0, 32)
    studio.satellite(studio.sites[1], 80.0, 32, day=1)
    again = Studio(Ground(("farmland",), 600.0, 90.0), 5, 0).satellite(site, 80.0, 32)
    np.testing.assert_array_equal(first, again)
    assert (studio.satellite(site, 80.0, 32, day=1) != first).any()


def test_people_stand_on_open_ground():
    studio = Studio(Ground(("suburb",), 500.0, 60.0, on_foot=True), 5, 0)
    assert len(studio.sites) == SITES_A_WORLD
    site = studio.sites[0]
    assert studio.panorama(site, (128, 32)).shape == (32, 128, 3)
    assert studio.street(site, 0, (48, 32)).shape == (32, 48, 3)
    camera = studio.open_ground.near(site.east_m, site.north_m, 5, 0, (48, 32))
    assert math.degrees(math.atan2(site.east_m - camera.east_m, site.north_m - camera.north_m)) % 360 == pytest.approx(camera.heading_deg)


def test_impossible_grounds_are_refused():
    with pytest.raises(InputError, match="at least one region"):
        Ground((), 600.0, 90.0)
    with pytest.raises(InputError):
        Ground(("nowhere",), 600.0, 90.0)
    with pytest.raises(InputError, match="do not fit"):
        Studio(Ground(("farmland",), 600.0, 90.0, reach_m=50.0), 0, 0)
