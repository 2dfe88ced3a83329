import pytest
import torch
import torch.nn.functional as F

from crossfix.losses.contrastive import InfoNCE
from crossfix.losses.released import ReleasedInfoNCE


def rows(seed, count=5):
    return F.normalize(torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)), dim=1)


def ce(a, b):
    return F.cross_entropy(a @ b.T / 0.07, torch.arange(len(a)), label_smoothing=0.1)


def test_equals_what_the_released_code_computes():
    q, g = rows(0), rows(1)
    wanted = (ce(q, q) + ce(g, q)) / 2 + (ce(q, q) + ce(g, g)) / 2
    assert float(ReleasedInfoNCE()(q, g)) == pytest.approx(float(wanted), rel=1e-5)


def test_is_twice_the_symmetric_loss_for_equal_inputs():
    q = rows(0)
    assert float(ReleasedInfoNCE()(q, q)) == pytest.approx(2 * float(InfoNCE()(q, q)), rel=1e-5)


def test_never_asks_a_query_to_find_its_partner():
    """With equal queries the gallery has nothing to find; only its own uniformity is left to learn, and swapping rows costs nothing."""
    q = rows(0)[:1].expand(5, 8)
    g = rows(1)
    order = torch.tensor([1, 2, 3, 4, 0])
    assert float(ReleasedInfoNCE()(q, g)) == pytest.approx(float(ReleasedInfoNCE()(q, g[order])), rel=1e-5)


def test_rows_of_one_place_are_not_each_others_negatives():
    q, g = rows(0), rows(1)
    apart, together = torch.arange(5), torch.tensor([0, 0, 2, 3, 4])
    assert float(ReleasedInfoNCE()(q, g, apart)) == pytest.approx(float(ReleasedInfoNCE()(q, g)), rel=1e-6)
    assert float(ReleasedInfoNCE()(q, g, together)) < float(ReleasedInfoNCE()(q, g, apart))
