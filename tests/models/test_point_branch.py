import json

import pytest
import torch

from crossfix.errors import ModelError
from crossfix.models.point_branch import PointBranch, PointConfig
from crossfix.models.point_input import turn_clouds
from point_clouds import towns

SMALL = {"points": 40, "centres": (16, 8, 6), "neighbours": 5}


def branch(dim=24, **change):
    torch.manual_seed(0)
    return PointBranch(PointConfig(**{**SMALL, **change}), dim).eval()


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"per_neighbour": True, "expert_kind": "conv", "height": "none"},
        {"kind": "nn", "height": "relative"},
        {"kind": "nn", "experts": 0},
        {"kind": "grid"},
        {"kind": "grid", "experts": 0, "cells": 4},
        {"colour": True, "experts": 2, "up": 1},
    ],
)
def test_config_to_json_to_descriptors(change):
    config = PointConfig(**{**SMALL, **change})
    again = PointConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    made = PointBranch(again, 24).eval()
    pts = torch.cat([towns(3, 40), torch.rand(3, 40, 3)], 2)
    desc = made(pts, made.table(pts))
    assert desc.shape == (3, made.out_dim)
    assert made.out_dim == (24 if again.experts else made.encoder.out_dim)
    torch.testing.assert_close(desc.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(desc, made(pts), rtol=1e-4, atol=1e-5)


def test_sizes_out_of_the_box():
    ours, theirs = PointConfig(), PointConfig.published()
    assert PointBranch(ours, 576).table(towns(2, 1024)).shape == (2, (96 + 24 + 8) * 9)
    with torch.device("meta"):
        assert sum(p.numel() for p in PointBranch(ours, 576).encoder.parameters()) < 100_000
        assert PointBranch(theirs, 4096).encoder.out_dim == 4608


def test_colours_count_only_where_they_are_wanted():
    pts = torch.cat([towns(2, 40), torch.rand(2, 40, 3)], 2)
    other = torch.cat([pts[..., :3], torch.rand(2, 40, 3)], 2)
    assert torch.equal(branch()(pts), branch()(other))
    assert not torch.allclose(branch(colour=True)(pts), branch(colour=True)(other))


def test_turning_is_as_if_the_cloud_had_come_turned():
    made, pts, turn = branch(), towns(2, 40), torch.tensor([0.3, -2.0])
    turned = made(pts, made.table(pts), turn)
    torch.testing.assert_close(turned, made(turn_clouds(pts, turn)), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(turned, made(pts), atol=1e-3)


def test_float32_under_autocast():
    made, pts = branch(), towns(2, 40)
    wanted = made(pts)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(made(pts), wanted)


def test_clouds_that_do_not_fit():
    made = branch()
    with pytest.raises(ModelError, match=r"clouds of shape \(2, 39, 3\) do not fit, the branch takes \(clouds, 40, 3\); sample clouds"):
        made(towns(2, 39))
    with pytest.raises(ModelError, match=r"\(clouds, 40, 6\); .* with their colours"):
        branch(colour=True)(towns(2, 40))
    broken = towns(3, 40)
    broken[1, 5, 2] = torch.nan
    with pytest.raises(ModelError, match=r"clouds \[1\] of the batch hold values that are not finite"):
        made(broken)
    with pytest.raises(ModelError, match="neighbour tables of 3 entries"):
        made(towns(2, 40), torch.zeros(2, 3, dtype=torch.int16))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "pointnet"}, "unknown choice"),
        ({"centres": (2000, 8, 6)}, "do not give centres"),
        ({"neighbours": 17}, "do not give centres"),
        ({"growth": (2,)}, "not of one length"),
        ({"width": 10}, "no positive multiple of six"),
        ({"width": 0}, "no positive multiple of six"),
        ({"neighbours": 0}, "above 0"),
        ({"growth": (0, 2, 2)}, "above 0"),
        ({"alpha": 0.0}, "above 0"),
        ({"up": 3}, "axis 3 cannot point up"),
        ({"dilations": (1, 2)}, "dilations are not one an expert"),
        ({"cells": 1}, "no grid"),
        ({"colour_space": 1}, "unknown entries: colour_space"),
        ({"centres": None}, "do not give centres|wrong kind"),
    ],
)
def test_configs_that_cannot_be(change, says):
    with pytest.raises(ModelError, match=says):
        PointConfig.from_dict({**PointConfig(**SMALL).to_dict(), **change})
