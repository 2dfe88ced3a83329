import pytest
import torch

from crossfix.errors import RunError
from crossfix.losses.contrastive import InfoNCE
from crossfix.models.point_branch import PointBranch, PointConfig
from crossfix.models.point_teacher import CloudPair, pretrain, recall
from point_clouds import towns


class Draws:
    """Two of four draws of points of each of 32 places, with their tables, put together when asked for."""

    def __init__(self, steps, places, points):
        self.steps = steps
        self.draws = places.unflatten(1, (-1, points.config.points)).transpose(0, 1)
        self.tables = torch.stack([points.table(draw) for draw in self.draws])

    def __len__(self):
        return self.steps

    def __getitem__(self, step):
        first, second = torch.randperm(4, generator=torch.Generator().manual_seed(step))[:2]
        rows = torch.arange(32) + 32 * (step % (self.draws.shape[1] // 32))
        return CloudPair(self.draws[first, rows], self.draws[second, rows], self.tables[first, rows], self.tables[second, rows])


def found(points, places):
    return recall(points.eval(), CloudPair(places[:, :256], places[:, 256:512]))


def test_learns_to_know_places_it_has_never_seen():
    torch.manual_seed(0)
    points = PointBranch(PointConfig(points=256, centres=(64, 16, 8), neighbours=8), 32).eval()
    unseen = towns(24, 512, seed=9)
    before = found(points, unseen)
    told = []
    losses = pretrain(
        points, Draws(60, towns(128, 1024), points), InfoNCE(), learning_rate=3e-3, report=lambda step, loss: told.append(loss)
    )
    assert told == losses
    assert len(losses) == 60
    assert losses[-1] < losses[0] - 0.5
    assert found(points, unseen) > before + 0.2  # chance 0.04
    assert not points.training


def test_a_frozen_branch_stays_frozen():
    points = PointBranch(PointConfig(points=256, centres=(64, 16, 8), neighbours=8), 32).requires_grad_(False)
    before = points.encoder.first.linear.weight.clone()
    pretrain(points, Draws(1, towns(32, 1024), points), InfoNCE())
    assert not torch.equal(points.encoder.first.linear.weight, before)
    assert not any(p.requires_grad for p in points.parameters())


def test_nothing_to_train():
    points = PointBranch(PointConfig(kind="grid", points=256, centres=(8,), experts=0), 32)
    with pytest.raises(RunError, match="no parameters to train"):
        pretrain(points, Draws(1, towns(32, 1024), points), InfoNCE())


def test_recall_counts_places_whose_own_cloud_is_strictly_first():
    points = PointBranch(PointConfig(kind="grid", points=256, centres=(8,), experts=0), 32)
    places = towns(6, 512)
    assert found(points, places) == 1.0
    same = places[:1, :256].expand(6, -1, -1)
    assert recall(points, CloudPair(same, same)) == 0  # ties do not favour
    shifted = CloudPair(places[:, :256], places[:, 256:].roll(1, 0))
    assert recall(points, shifted) == 0
