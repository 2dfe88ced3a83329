import torch

from crossfix.models.point_grid import HeightGrid
from point_clouds import towns


def test_a_point_in_the_middle_of_a_cell_counts_there_alone():
    net = HeightGrid(4)
    pts = torch.tensor([[[-0.75, -0.25, 0.1], [-0.75, -0.25, 0.3], [0.75, 0.75, 0.8]]])  # cells (0, 1) twice and (3, 3)
    height = net(pts)[0].view(4, 4)
    assert height.nonzero().tolist() == [[0, 1], [3, 3]]
    torch.testing.assert_close(height[0, 1], torch.tensor(-0.3))  # 0.2 less the cells' mean of 0.5
    torch.testing.assert_close(height[3, 3], torch.tensor(0.3))


def test_points_between_cells_count_in_both():
    pts = torch.tensor([[[0.0, -0.75, 0.4], [0.0, -0.75, 0.4], [0.75, 0.75, 0.1], [9.0, 0.8, 0.1]]])  # the last is outside
    height = HeightGrid(4)(pts)[0].view(4, 4)
    assert height.nonzero().tolist() == [[1, 0], [2, 0], [3, 3]]
    torch.testing.assert_close(height[1:3, 0], torch.tensor([0.1, 0.1]))  # 0.4 less the mean of 0.4, 0.4 and 0.1
    torch.testing.assert_close(height[3, 3], torch.tensor(-0.2))


def test_lifted_clouds_and_those_with_more_points_give_the_same():
    pts = towns(2, 100)
    lifted = pts + torch.tensor([0.0, 0.0, 3.0])
    torch.testing.assert_close(HeightGrid(4)(lifted), HeightGrid(4)(pts), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(HeightGrid(2)(pts.repeat(1, 3, 1)), HeightGrid(2)(pts), atol=1e-5, rtol=1e-4)


def test_up_may_be_another_axis():
    pts = towns(2, 100)
    torch.testing.assert_close(HeightGrid(4, up=1)(pts[..., [1, 2, 0]]), HeightGrid(4)(pts))


def test_two_draws_of_a_place_are_nearer_than_other_places():
    pts = towns(40, 2048)
    first, second = (torch.nn.functional.normalize(HeightGrid()(p), dim=1) for p in pts.split(1024, dim=1))
    assert ((first @ second.T).argmax(1) == torch.arange(40)).all()
