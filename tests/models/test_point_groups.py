import numpy as np
import pytest
import torch

from crossfix.errors import ModelError
from crossfix.models import point_groups
from crossfix.models.point_groups import farthest_points, make_table, nearest_points, split_table, table_length, take


def clouds(batch=2, points=60, seed=0):
    return torch.randn(batch, points, 3, generator=torch.Generator().manual_seed(seed))


def slow_farthest(pts, count):
    """One cloud, from the definition, in float64."""
    pts = pts.numpy().astype(np.float64)
    chosen = [int(np.argmax([np.linalg.norm(p - pts.mean(0)) for p in pts]))]
    while len(chosen) < count:
        chosen.append(int(np.argmax([min(np.linalg.norm(p - pts[c]) for c in chosen) for p in pts])))
    return chosen


def test_farthest_points_equal_the_definition():
    pts = clouds()
    got = farthest_points(pts, 17)
    assert [row.tolist() for row in got] == [slow_farthest(cloud, 17) for cloud in pts]


def test_fewer_are_the_first_of_more_and_all_are_everyone():
    pts = clouds()
    assert torch.equal(farthest_points(pts, 9), farthest_points(pts, 30)[:, :9])
    assert torch.equal(farthest_points(pts, 60).sort(1).values, torch.arange(60).expand(2, 60))


def test_the_order_of_points_chooses_nothing():
    pts = clouds()
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    assert torch.equal(take(pts, farthest_points(pts, 20)), take(pts[:, order], farthest_points(pts[:, order], 20)))


def test_equal_points_do_not_trap_the_sampling():
    pts = torch.zeros(1, 10, 3)
    pts[0, 7] = 1.0
    assert set(farthest_points(pts, 2)[0].tolist()) >= {7}
    assert farthest_points(pts, 10).shape == (1, 10)


@pytest.mark.parametrize("most", [1 << 24, 1])  # one piece, and a centre at a time
def test_nearest_points_equal_a_sort_of_all_distances(monkeypatch, most):
    monkeypatch.setattr(point_groups, "_MOST_DISTANCES", most)
    pts = clouds()
    centres = pts[:, :7]
    got = nearest_points(centres, pts, 5)
    for b in range(2):
        for m in range(7):
            distance = [float((centres[b, m].double() - p.double()).norm()) for p in pts[b]]
            assert set(got[b, m].tolist()) == set(np.argsort(distance)[:5].tolist())
            assert m in got[b, m]


def test_a_table_holds_every_stage():
    pts = clouds()
    table = make_table(pts, (20, 8), 6)
    assert table.dtype == torch.int16
    assert table.shape == (2, table_length((20, 8), 6)) == (2, 20 * 7 + 8 * 7)
    first, second = split_table(table, (20, 8), 6)
    kept = take(pts, first.centre_BM)
    assert torch.equal(first.centre_BM, farthest_points(pts, 20))
    assert torch.equal(second.centre_BM, farthest_points(kept, 8))
    assert torch.equal(second.near_BMK, nearest_points(take(kept, second.centre_BM), kept, 6))


def test_turned_shifted_and_scaled_clouds_keep_their_table():
    pts = clouds()
    turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    before, after = (split_table(make_table(p, (20, 8), 6), (20, 8), 6) for p in (pts, 2 * pts @ turn.T + 5))
    for a, b in zip(before, after, strict=True):
        assert torch.equal(a.centre_BM, b.centre_BM)
        assert torch.equal(a.near_BMK.sort(2).values, b.near_BMK.sort(2).values)


def test_too_few_points_and_foreign_tables():
    with pytest.raises(ModelError, match="cannot choose 61 of 60 points"):
        farthest_points(clouds(), 61)
    with pytest.raises(ModelError, match="cannot have 61 neighbours among 60 points"):
        nearest_points(clouds(), clouds(), 61)
    with pytest.raises(ModelError, match="do not belong to centres"):
        split_table(make_table(clouds(), (20, 8), 6), (20, 8), 5)
    with pytest.raises(ModelError, match="have no tables"):
        make_table(torch.zeros(1, 40000, 3), (2,), 1)
