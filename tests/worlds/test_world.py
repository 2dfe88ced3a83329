"""Worlds: the same from the same seed, different by region and epoch, and built as their dials say."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from crossfix.errors import InputError
from crossfix.worlds import REGIONS, Epoch, World, region_named
from crossfix.worlds.buildings import FLAT, Parts, triangles
from crossfix.worlds.layout import FIELD, WATER
from crossfix.worlds.noise import keyed_rng
from crossfix.worlds.scene import LEAF, ROOF
from crossfix.worlds.streets import lay_streets


@pytest.mark.parametrize("name", REGIONS)
def test_every_region_renders_the_same_bytes_twice(name: str) -> None:
    pictures = []
    for _ in range(2):
        scene = World(name, 5, 200, texel_m=0.8).scene(Epoch.draw(3))
        pictures.append(scene.ortho(0, 0, 180, 96, samples=1).rgb)
    np.testing.assert_array_equal(*pictures)
    assert pictures[0].std() > 8


def test_seeds_and_regions_make_other_worlds() -> None:
    epoch = Epoch.draw(3)
    pictures = [
        World(r, s, 200, texel_m=0.8).scene(epoch).ortho(0, 0, 180, 64, samples=1).rgb for r, s in (("town", 1), ("town", 2), ("suburb", 1))
    ]
    for i in range(3):
        for j in range(i):
            assert np.abs(pictures[i].astype(int) - pictures[j]).mean() > 10


def test_an_epoch_changes_light_and_cars_but_not_the_plan() -> None:
    world = World("suburb", 4, 240, texel_m=0.6)
    scenes = [world.scene(dataclasses.replace(Epoch.draw(i), building_change=0.0, tree_change=0.0)) for i in (1, 2)]
    depths = [scene.ortho(0, 0, 200, 128, samples=1).depth for scene in scenes]
    same = np.abs(depths[0] - depths[1]) < 0.05
    assert 0.97 < same.mean() < 1.0  # only cars differ
    pictures = [scene.ortho(0, 0, 200, 128, samples=1).rgb.astype(int) for scene in scenes]
    assert np.abs(pictures[0] - pictures[1]).mean() > 5


def test_the_stated_share_of_buildings_changes() -> None:
    world = World("suburb", 4, 900, texel_m=2.0)
    full = world.scene(dataclasses.replace(Epoch.draw(1), building_change=0.0))
    some = world.scene(dataclasses.replace(Epoch.draw(1), building_change=0.3))
    kept = (some._surface.kind == ROOF).sum() / (full._surface.kind == ROOF).sum()
    assert kept == pytest.approx(0.7, abs=0.08)


def test_cells_tile_the_world() -> None:
    for name in ("suburb", "town"):
        region = dataclasses.replace(region_named(name), thin=0.0)
        network = lay_streets(region, 200.0, keyed_rng(1, "t"))
        count = np.zeros((400, 400), np.uint8)
        for cell in network.cells:
            mask = np.zeros_like(count)
            cv2.fillPoly(mask, [np.round(cell + 200).astype(np.int32)[:, None]], 1)
            count += cv2.erode(mask, np.ones((3, 3), np.uint8))
        assert count.max() == 1
        assert (count == 1).mean() > 0.85  # the rest is the width of the eroded edges


def test_buildings_stand_clear_of_streets_and_water() -> None:
    layout = World("town", 6, 300, texel_m=0.5).layout
    rows = ((layout.parts.y + layout.half_m) / layout.texel_m).astype(int)
    cols = ((layout.parts.x + layout.half_m) / layout.texel_m).astype(int)
    assert len(rows) > 100
    assert not (layout.label[rows, cols] == WATER).any()


def test_dials_show_in_the_worlds() -> None:
    farm, town = World("farmland", 2, 500, texel_m=1.5).layout, World("town", 2, 500, texel_m=1.5).layout
    assert (farm.label == FIELD).mean() > 0.35
    assert (town.label == FIELD).mean() == 0
    assert len(town.parts) > 5 * len(farm.parts)
    desert = World("desert", 2, 500, texel_m=1.5).layout
    assert (desert.parts.roof == FLAT).all()


def test_ground_height_is_what_rays_hit() -> None:
    world = World("valley", 3, 300, texel_m=1.0)
    shot = world.scene(Epoch.draw(1)).ortho(0, 0, 200, 64, samples=1)
    points = shot.points()
    above = points[:, 2] - world.ground_height(points[:, 0], points[:, 1])
    assert above.min() > -0.6  # the mesh is a chord of the relief
    assert np.percentile(np.abs(above), 20) < 0.3


def test_prism_volumes_are_closed_upwards() -> None:
    parts = Parts.of([(3.0, 4.0, 10.0, 6.0, 0.3, 5.0, 0.0, FLAT, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0)])
    corners, roof, _ = triangles(parts)
    a, b, c = (corners[roof][:, i].astype(float) for i in range(3))
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()
    assert area == pytest.approx(60.0, rel=1e-4)
    assert corners[roof][..., 2].max() == pytest.approx(5.0)
    assert corners[..., :2].reshape(-1, 2).mean(0) == pytest.approx((3.0, 4.0), abs=0.2)


def test_winter_browns_leaves() -> None:
    world = World("suburb", 4, 200, texel_m=1.0)
    greens = []
    for season in (0.2, 1.0):
        surface = world.scene(dataclasses.replace(Epoch.draw(1), season=season))._surface
        leaf = surface.rgb[surface.kind == LEAF].mean(0)
        greens.append(leaf[1] / leaf[0])
    assert greens[0] > 1.1 > greens[1]


def test_training_and_unseen_regions_are_both_there() -> None:
    assert sum(region.unseen for region in REGIONS.values()) >= 2
    assert sum(not region.unseen for region in REGIONS.values()) >= 5


def test_unknown_region_and_absurd_size_are_refused() -> None:
    with pytest.raises(InputError, match="suburb"):
        region_named("atlantis")
    with pytest.raises(InputError, match="50 to 6000"):
        World("town", 1, 10)
