"""Point-NN against an implementation written from the definition, point by point, in float64."""

import math

import numpy as np
import pytest
import torch

from crossfix.models.point_encoding import encode_positions
from crossfix.models.point_groups import make_table
from crossfix.models.point_nn import PointNN
from point_clouds import slow_groups, towns

ALPHA, BETA = 100.0, 20.0


def slow_code(values, channels):
    count = channels // (2 * len(values))
    angles = [BETA * v / ALPHA ** (f / count) for v in values for f in range(count)]
    code = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
    return np.array(code + [0.0] * (channels - len(code)))


def gelu(x):
    return np.array([v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x])


def slow_point_nn(cloud, width, centres, neighbours):
    xyz = cloud[:, :3].astype(np.float64)
    codes = [slow_code(p, width) for p in cloud.astype(np.float64)]
    for count in centres:
        groups = slow_groups(xyz, count, neighbours)
        offsets = [[xyz[j] - xyz[c] for j in near] for c, near in groups]
        changes = [[codes[j] - codes[c] for j in near] for c, near in groups]
        offset_scale = np.std(np.array(offsets), ddof=1) + 1e-5
        change_scale = np.std(np.array(changes), ddof=1) + 1e-5
        pooled = []
        for (centre, _), offset, change in zip(groups, offsets, changes, strict=True):
            rows = []
            for o, c in zip(offset, change, strict=True):
                both = np.concatenate([c / change_scale, codes[centre]])
                weight = slow_code(o / offset_scale, len(both))
                rows.append((both + weight) * weight)
            pooled.append(gelu(np.max(rows, 0) + np.mean(rows, 0)))
        xyz, codes = np.array([xyz[c] for c, _ in groups]), pooled
    return np.max(codes, 0) + np.mean(codes, 0)


@pytest.mark.parametrize("channels", [3, 4, 7])
def test_equals_the_definition(channels):
    net = PointNN(12, (16, 6), 5, alpha=ALPHA, beta=BETA)
    pts = torch.cat([towns(2, 40), torch.rand(2, 40, 4, generator=torch.Generator().manual_seed(3))], 2)[..., :channels]
    got = net(pts)
    assert got.shape == (2, net.out_dim) == (2, 48)
    for row, cloud in zip(got.numpy(), pts.numpy(), strict=True):
        wanted = slow_point_nn(cloud, 12, (16, 6), 5)
        assert np.abs(row - wanted).max() < 2e-3 * np.abs(wanted).max()


def test_has_nothing_to_train():
    net = PointNN()
    assert not list(net.parameters())
    assert not net.state_dict()
    assert net.out_dim == 72 * 16


def test_other_clouds_and_their_number_do_not_matter():
    net, pts = PointNN(12, (16, 6), 5), towns(5, 40)
    together = net(pts)
    alone = torch.cat([net(pts[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-4)


def test_the_order_of_points_does_not_matter():
    net, pts = PointNN(12, (16, 6), 5, beta=10.0), towns(2, 40)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(net(pts), net(pts[:, order]), rtol=1e-3, atol=1e-3)


def test_a_table_made_before_gives_the_same():
    net, pts = PointNN(12, (16, 6), 5), towns(3, 40)
    assert torch.equal(net(pts), net(pts, make_table(pts, (16, 6), 5)))


def test_clouds_of_one_place_are_nearer_than_those_of_others():
    net, pts = PointNN(24, (128, 32), 16), towns(20, 1024)
    first, second = net(pts[:, :512]), net(pts[:, 512:])  # two draws of points of each place
    both = torch.cat([first, second])
    first, second = (torch.nn.functional.normalize((d - both.mean(0)) / both.std(0), dim=1) for d in (first, second))
    assert ((first @ second.T).argmax(1) == torch.arange(20)).float().mean() > 0.25  # chance 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_codes_are_of_full_precision_under_autocast(dtype):
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        code = encode_positions(torch.tensor([[0.71, -0.3, 0.999]]), 24, alpha=1000.0, beta=100.0)
    assert code.dtype == torch.float32
    angle = np.array([100 * v / 1000 ** (f / 4) for v in (0.71, -0.3, 0.999) for f in range(4)])
    assert np.abs(code[0].numpy() - np.concatenate([np.sin(angle), np.cos(angle)])).max() < 1e-5
