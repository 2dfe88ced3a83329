import math

import pytest
import torch

from crossfix.models.point_input import heights, point_features, turn_clouds
from point_clouds import towns


@pytest.mark.parametrize(("up", "east", "north"), [(2, 0, 1), (1, 2, 0), (0, 1, 2)])
def test_convention_turns_are_counter_clockwise_from_above(up, east, north):
    pts = torch.zeros(1, 1, 6)
    pts[0, 0, east], pts[0, 0, up], pts[0, 0, 5] = 1.0, 0.3, 0.9
    colour = pts[..., 3:].clone()
    turned = turn_clouds(pts, torch.tensor([math.pi / 2]), up=up)
    wanted = torch.zeros(3)
    wanted[north], wanted[up] = 1.0, 0.3
    torch.testing.assert_close(turned[0, 0, :3], wanted)
    torch.testing.assert_close(turned[..., 3:], colour)
    assert pts[0, 0, east] == 1


def test_every_cloud_turns_by_its_own_angle():
    pts = towns(2, 30)
    turned = turn_clouds(pts, torch.tensor([0.0, 1.0]))
    assert torch.equal(turned[0], pts[0])
    torch.testing.assert_close(turned.norm(dim=2), pts.norm(dim=2))
    torch.testing.assert_close(turn_clouds(turned, torch.tensor([0.0, -1.0])), pts)


def test_heights_are_above_the_clouds_own_ground_and_strays_do_not_move_it():
    pts = torch.zeros(2, 200, 3)
    pts[0, :, 2] = torch.linspace(0, 1, 200)
    pts[1, :, 2] = torch.linspace(5, 5.2, 200)
    pts[:, 0, 2] -= 100  # a point below the ground
    above, relative = heights(pts, "above")[..., 0], heights(pts, "relative")[..., 0]
    assert above[:, 1:].min() > -0.03
    assert above[0].max() == pytest.approx(0.98, abs=0.02)
    assert above[1].max() == pytest.approx(0.196, abs=0.01)
    assert relative[:, 1:].max(1).values.tolist() == pytest.approx([1.02, 1.02], abs=0.02)


def test_channels_stand_in_order():
    pts = torch.cat([towns(1, 20), torch.rand(1, 20, 3)], 2)
    features = point_features(pts, colour=True, height="above")
    assert features.shape == (1, 20, 7)
    assert torch.equal(features[..., :3], pts[..., :3])
    assert torch.equal(features[..., 4:], pts[..., 3:])
    assert point_features(pts, colour=False, height="none").shape == (1, 20, 3)
