import math

import pytest
import torch
import torch.nn.functional as F

from crossfix.errors import RunError
from crossfix.losses.relation import relation_loss, relations, spread

# Unit vectors in the plane at 0, 60 and 180 degrees: chords of 1, 2 and the root of 3.
ANGLES = torch.tensor([0.0, 60.0, 180.0]).deg2rad()
THREE = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)
CHORDS = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, math.sqrt(3)], [2.0, math.sqrt(3), 0.0]])


def random(rows, dims, seed=0):
    return F.normalize(torch.randn(rows, dims, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_distances_of_three_known_rows():
    torch.testing.assert_close(relations(THREE, THREE, scale="none"), CHORDS)
    torch.testing.assert_close(relations(5 * THREE, THREE, scale="none"), CHORDS)  # lengths do not count
    mean = (1 + 2 + math.sqrt(3)) / 3
    torch.testing.assert_close(relations(THREE, THREE), CHORDS / mean, atol=1e-5, rtol=1e-5)


def test_cosines_of_three_known_rows():
    wanted = torch.tensor([[0.0, 0.5, -1.0], [0.5, 0.0, -0.5], [-1.0, -0.5, 0.0]])
    torch.testing.assert_close(relations(THREE, THREE, metric="cosine", scale="none"), wanted)


def test_the_pattern_alone():
    got = relations(THREE, THREE, scale="standard")
    off = got[~torch.eye(3, dtype=torch.bool)]
    assert float(off.mean()) == pytest.approx(0, abs=1e-5)
    assert float(off.std(correction=0)) == pytest.approx(1, abs=1e-4)
    assert got[0, 2] > got[1, 2] > got[0, 1]


def test_loss_of_two_hand_made_matrices():
    square = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])  # all equally far: relations of 1
    mean = (1 + 2 + math.sqrt(3)) / 3
    one = sum((d / mean - 1) ** 2 for d in (1, 2, math.sqrt(3))) / 3
    assert float(relation_loss(THREE, THREE, square)) == pytest.approx(2 * one, rel=1e-4)
    assert float(relation_loss(THREE, square, square)) == pytest.approx(one, rel=1e-4)
    assert float(relation_loss(THREE, THREE, square, across=True)) == pytest.approx(3 * one, rel=1e-4)


def test_the_published_mean_counts_the_diagonal():
    drone, satellite, point = random(5, 8), random(5, 8, 1), random(5, 8, 2)

    def published(student):
        ours, theirs = torch.cdist(student, student), torch.cdist(point, point)
        return (ours / ours.mean() - theirs / theirs.mean()).square().mean()

    want = published(drone) + published(satellite)
    assert float(relation_loss(drone, satellite, point)) * 5 / 4 == pytest.approx(float(want), rel=1e-3)


def test_equal_patterns_cost_nothing_whatever_the_length_of_descriptors():
    turned = torch.cat([THREE @ torch.tensor([[0.6, 0.8], [-0.8, 0.6]]), torch.zeros(3, 5)], 1)
    for scale in ("mean", "standard", "none"):
        assert float(relation_loss(THREE, THREE, turned, scale=scale)) < 1e-8


def test_the_relation_across_sees_what_the_others_cannot():
    """A satellite set turned as a whole keeps its own relations and loses those to the drone's."""
    drone, satellite = random(6, 8), random(6, 8) @ torch.linalg.qr(random(8, 8, 1))[0]
    assert float(relation_loss(drone, satellite, drone)) < 1e-8
    assert float(relation_loss(drone, satellite, drone, across=True)) > 0.01


def test_the_teacher_stands_still_unless_asked():
    teacher, drone = random(5, 4).requires_grad_(), random(5, 6, 1).requires_grad_()
    relation_loss(drone, drone, teacher).backward()
    assert teacher.grad is None
    assert drone.grad.abs().sum() > 0
    relation_loss(drone, drone, teacher, teacher_gradient=True).backward()
    assert teacher.grad.abs().sum() > 0


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("scale", ["mean", "standard", "none"])
def test_gradients_are_finite_where_rows_coincide(metric, scale):
    drone = random(5, 6)
    drone[1] = drone[0]
    drone.requires_grad_()
    relation_loss(drone, drone, random(5, 4, 1), metric=metric, scale=scale).backward()
    assert drone.grad.isfinite().all()


def test_descent_carries_the_pattern_over():
    teacher = random(8, 3)
    drone = random(8, 16, 1).requires_grad_()
    optimizer = torch.optim.Adam([drone], lr=0.05)
    start = None
    for _ in range(150):
        loss = relation_loss(drone, drone, teacher, scale="standard")
        start = start or loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05 * start


def test_spread_tells_whether_the_teacher_tells_anything():
    assert float(spread(torch.eye(6))) < 1e-4
    assert float(spread(THREE)) == pytest.approx(float(torch.tensor([1.0, 2.0, math.sqrt(3)]).std(correction=0)) / 1.5774, rel=1e-3)


def test_too_few_rows_and_values_that_are_not_finite():
    with pytest.raises(RunError, match="a batch of 1 has no relations"):
        relations(random(1, 3), random(1, 3))
    with pytest.raises(RunError, match="a batch of 2 has no relations"):
        relations(random(2, 3), random(2, 3), scale="standard")
    with pytest.raises(RunError, match="the relation term is nan"):
        relation_loss(torch.full((3, 3), torch.nan), random(3, 3), random(3, 3))
