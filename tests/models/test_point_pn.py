import numpy as np
import pytest
import torch

from crossfix.models.point_encoding import encode_positions
from crossfix.models.point_groups import make_table, split_table, take
from crossfix.models.point_pn import PointPN, _WeighAndPool
from point_clouds import slow_groups, towns


def small(**change):
    torch.manual_seed(0)
    options = {"width": 6, "centres": (16, 6), "neighbours": 5, "growth": (2, 1), "blocks": (2, 1), "beta": 10.0, **change}
    net = PointPN(3, **options)
    with torch.no_grad():  # norms that do something
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 2.0)
    return net.eval()


def numbers(linear):
    return linear.weight.detach().double().numpy()


def norm(module, x):
    get = [t.detach().double().numpy() for t in (module.running_mean, module.running_var, module.weight, module.bias)]
    return (x - get[0]) / np.sqrt(get[1] + module.eps) * get[2] + get[3]


def layer(module, x):
    return np.maximum(norm(module.norm, numbers(module.linear) @ x), 0)


def block(module, x):
    return np.maximum(norm(module.norm, numbers(module.up) @ layer(module.down, x)) + x, 0)


def slow_point_pn(net, cloud, per_neighbour):
    """One cloud from the definition, neighbour by neighbour: the first layer sees [neighbour; centre]."""
    xyz = cloud.astype(np.float64)
    codes = [layer(net.first, p) for p in xyz]
    for stage, count in zip(net.stages, net.centres, strict=True):
        new_xyz, pooled = [], []
        for centre, near in slow_groups(xyz, count, net.neighbours):
            offset = np.array([xyz[j] - xyz[centre] for j in near])
            offset = offset / (np.abs(offset).max(0) + 1e-5)
            weight = encode_positions(torch.tensor(offset), stage.norm.num_features, alpha=stage.alpha, beta=stage.beta).numpy()
            rows = []
            for w, j in zip(weight, near, strict=True):
                if per_neighbour:
                    joint = np.concatenate([numbers(stage.neighbour), numbers(stage.centre)], 1)
                    x = np.maximum(norm(stage.norm, joint @ np.concatenate([codes[j], codes[centre]])), 0)
                    x = (x + w) * w
                    for b in stage.blocks:
                        x = block(b, x)
                else:
                    x = (layer(stage.neighbour, codes[j]) + layer(stage.centre, codes[centre]) + w) * w
                rows.append(x)
            x = np.max(rows, 0) + np.mean(rows, 0)
            if not per_neighbour:
                x = norm(stage.norm, x)
                for b in stage.blocks:
                    x = block(b, x)
            pooled.append(x)
            new_xyz.append(xyz[centre])
        xyz, codes = np.array(new_xyz), pooled
    return np.max(codes, 0) + np.mean(codes, 0)


@pytest.mark.parametrize("per_neighbour", [True, False])
def test_equals_the_definition(per_neighbour):
    net, pts = small(per_neighbour=per_neighbour), towns(2, 40)
    with torch.no_grad():
        got = net(pts).numpy()
    for row, cloud in zip(got, pts.numpy(), strict=True):
        wanted = slow_point_pn(net, cloud, per_neighbour)
        assert np.abs(row - wanted).max() < 1e-3 * np.abs(wanted).max()


@pytest.mark.parametrize("per_neighbour", [True, False])
def test_order_of_points_and_other_clouds_do_not_matter(per_neighbour):
    net, pts = small(per_neighbour=per_neighbour), towns(3, 40)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = net(pts)
        torch.testing.assert_close(net(pts[:, order]), wanted, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(net(pts[1:2]), wanted[1:2], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(net(pts, make_table(pts, net.centres, net.neighbours)), wanted)


def test_weigh_and_pool_has_the_gradient_autograd_would_find():
    pts = towns(2, 30)
    stage = split_table(make_table(pts, (9,), 4), (9,), 4)[0]
    offset = take(pts, stage.near_BMK) - take(pts, stage.centre_BM)[:, :, None]
    generator = torch.Generator().manual_seed(0)
    near, own = (torch.randn(2, n, 12, generator=generator, requires_grad=True) for n in (30, 9))
    out = torch.randn(18, 12, generator=generator)
    weight = encode_positions(offset, 12, alpha=10.0, beta=3.0)
    value = (take(near, stage.near_BMK) + own[:, :, None] + weight) * weight
    plain = (value.max(2).values + value.mean(2)).flatten(0, 1)
    wanted = torch.autograd.grad((plain * out).sum(), (near, own))
    row = (stage.near_BMK + 30 * torch.arange(2)[:, None, None]).flatten(0, 1).T
    fast = _WeighAndPool.apply(near.flatten(0, 1), own.flatten(0, 1), row, offset.flatten(0, 1).transpose(0, 1), (10.0, 3.0))
    torch.testing.assert_close(fast, plain)
    for got, true in zip(torch.autograd.grad((fast * out).sum(), (near, own)), wanted, strict=True):
        torch.testing.assert_close(got, true)


def test_learns_without_a_gradient_that_is_missing():
    net = small(per_neighbour=False).train()
    net(towns(4, 40)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_the_published_size():
    with torch.device("meta"):
        net = PointPN(4, 576)
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(120.9e6, rel=2e-3)
    assert net.out_dim == 4608
