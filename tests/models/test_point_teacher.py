import pytest
import torch

from crossfix.errors import RunError
from crossfix.losses.contrastive import InfoNCE
from crossfix.models.point_branch import PointBranch, PointConfig
from crossfix.models.point_teacher import CloudPair, pretrain
from point_clouds import towns


class Draws:
    """Two draws of points of each of 32 places, made when asked for."""

    def __init__(self, steps, places):
        self.steps, self.places = steps, places

    def __len__(self):
        return self.steps

    def __getitem__(self, step):
        order = torch.randperm(self.places.shape[1], generator=torch.Generator().manual_seed(step))
        rows = torch.arange(32) + 32 * (step % (len(self.places) // 32))
        return CloudPair(self.places[rows][:, order[:256]], self.places[rows][:, order[256:512]])


def found(points, places):
    with torch.no_grad():
        first, second = points(places[:, :256]), points(places[:, 256:512])
    return float(((first @ second.T).argmax(1) == torch.arange(len(places))).float().mean())


def test_learns_to_know_places_it_has_never_seen():
    torch.manual_seed(0)
    points = PointBranch(PointConfig(points=256, centres=(64, 16, 8), neighbours=8), 32).eval()
    unseen = towns(24, 512, seed=9)
    before = found(points, unseen)
    told = []
    losses = pretrain(points, Draws(25, towns(128, 1024)), InfoNCE(), learning_rate=3e-3, report=lambda step, loss: told.append(loss))
    assert told == losses
    assert len(losses) == 25
    assert losses[-1] < losses[0] - 0.5
    assert found(points, unseen) > max(0.4, before + 0.1)  # chance 0.04
    assert not points.training


def test_a_frozen_branch_stays_frozen():
    points = PointBranch(PointConfig(points=256, centres=(64, 16, 8), neighbours=8), 32).requires_grad_(False)
    before = points.encoder.first.linear.weight.clone()
    pretrain(points, Draws(1, towns(32, 512)), InfoNCE())
    assert not torch.equal(points.encoder.first.linear.weight, before)
    assert not any(p.requires_grad for p in points.parameters())


def test_nothing_to_train():
    points = PointBranch(PointConfig(kind="grid", points=256, centres=(8,), experts=0), 32)
    with pytest.raises(RunError, match="no parameters to train"):
        pretrain(points, Draws(1, towns(32, 512)), InfoNCE())
