import torch

from crossfix.models.point_grid import HeightGrid
from point_clouds import towns


def test_a_point_in_the_middle_of_a_cell_counts_there_alone():
    net = HeightGrid(4)
    pts = torch.tensor([[[-0.75, -0.25, 0.1], [-0.75, -0.25, 0.3], [0.75, 0.75, 0.8]]])  # cells (0, 1) twice and (3, 3)
    height, share = net(pts)[0].view(2, 4, 4)
    assert share.nonzero().tolist() == [[0, 1], [3, 3]]
    torch.testing.assert_close(share[0, 1], torch.tensor(2 / 3))
    torch.testing.assert_close(height[0, 1], torch.tensor(-0.3))  # 0.2 less the cells' mean of 0.5
    torch.testing.assert_close(height[3, 3], torch.tensor(0.3))
    assert (height != 0).sum() == 2


def test_points_between_cells_are_shared_and_none_is_lost():
    net = HeightGrid(4)
    share = net(torch.tensor([[[0.0, -0.75, 0.0]]]))[0].view(2, 4, 4)[1]
    torch.testing.assert_close(share[1:3, 0], torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(net(towns(3, 200)).view(3, 2, 16)[:, 1].sum(1), torch.ones(3))


def test_up_may_be_another_axis():
    pts = towns(2, 100)
    torch.testing.assert_close(HeightGrid(4, up=1)(pts[..., [1, 2, 0]]), HeightGrid(4)(pts))


def test_two_draws_of_a_place_are_nearer_than_other_places():
    pts = towns(40, 2048)
    first, second = (torch.nn.functional.normalize(HeightGrid()(p), dim=1) for p in pts.split(1024, dim=1))
    assert ((first @ second.T).argmax(1) == torch.arange(40)).all()
