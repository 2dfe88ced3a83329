import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from crossfix.errors import RunError
from crossfix.losses import InfoNCE
from crossfix.losses.contrastive import NotFiniteError


def pair(batch=6, dim=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [F.normalize(torch.randn(batch, dim, generator=generator, dtype=torch.float64), dim=1) for _ in range(2)]


def slow(query, gallery, ids, temperature, smoothing):
    """Row by row, in float64, from the definition."""
    q, g = query.detach().numpy(), gallery.detach().numpy()
    losses = []
    for a, b in ((q, g), (g, q)):
        for i in range(len(a)):
            rivals = [j for j in range(len(b)) if j == i or ids[j] != ids[i]]
            logits = {j: a[i] @ b[j] / temperature for j in rivals}
            total = math.log(sum(math.exp(x) for x in logits.values()))
            target = {j: smoothing / len(rivals) + (1 - smoothing) * (j == i) for j in rivals}
            losses.append(-sum(target[j] * (logits[j] - total) for j in rivals))
    return np.mean(losses)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ids", [[0, 1, 2, 3, 4, 5], [0, 0, 1, 2, 2, 2], [7] * 6])
def test_equals_a_slow_reference(ids, smoothing):
    query, gallery = pair()
    loss = InfoNCE(0.07, smoothing).double()(query, gallery, torch.tensor(ids))
    assert loss.item() == pytest.approx(slow(query, gallery, ids, 0.07, smoothing), abs=1e-6)


def test_without_ids_it_is_torch_cross_entropy_both_ways():
    query, gallery = pair()
    logits = query @ gallery.T / 0.07
    rows = torch.arange(6)
    expected = sum(F.cross_entropy(x, rows, label_smoothing=0.1) for x in (logits, logits.T)) / 2
    torch.testing.assert_close(InfoNCE().double()(query, gallery), expected, atol=1e-6, rtol=1e-6)


def test_gradients():
    query, gallery = (x.requires_grad_() for x in pair(4, 3))
    loss = InfoNCE().double()
    ids = torch.tensor([0, 0, 1, 2])
    assert torch.autograd.gradcheck(
        lambda q, g, s: torch.func.functional_call(loss, {"log_scale": s}, (q, g, ids)), (query, gallery, loss.log_scale)
    )


def test_float32_under_autocast():
    query, gallery = (x.bfloat16() for x in pair(64, 256))
    with torch.autocast("cpu", torch.bfloat16):
        loss = InfoNCE(0.01)(query, gallery)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, InfoNCE(0.01)(query.float(), gallery.float()))


def test_temperature_is_learnable_and_stays_above_a_hundredth():
    loss = InfoNCE(0.07, label_smoothing=0.0)
    assert loss.temperature == pytest.approx(0.07)
    query, other = (x.float() for x in pair())
    optimiser = torch.optim.SGD(loss.parameters(), lr=100.0)
    for _ in range(5):  # identical views ask for an ever smaller temperature
        optimiser.zero_grad()
        loss(query, query).backward()
        optimiser.step()
    assert loss.temperature == pytest.approx(0.01)
    loss.zero_grad()
    loss(query, other).backward()
    assert loss.temperature == pytest.approx(0.01)
    assert loss.log_scale.grad > 0  # at the bound it still has a gradient, and views that differ ask for a larger one


def test_values_that_are_not_finite_are_named():
    query, gallery = (x.float() for x in pair())
    gallery[3, 1] = torch.nan
    query[5, 0] = torch.inf
    with pytest.raises(RunError, match=r"rows \[3, 5\] of the batch"):
        InfoNCE()(query, gallery)


def test_a_single_row_has_no_negatives():
    query, gallery = (x.float() for x in pair(1))
    assert InfoNCE()(query, gallery).item() == pytest.approx(0.0, abs=1e-6)


def test_neutral_pairs_are_left_out_both_ways():
    query, gallery = pair()
    neutral = torch.zeros(6, 6, dtype=torch.bool)
    neutral[0, 3] = neutral[4, 1] = neutral[2, 2] = True  # the last is its own partner, which stays
    logits = (query @ gallery.T / 0.07).masked_fill(neutral & ~torch.eye(6, dtype=torch.bool), -torch.inf)
    rows = torch.arange(6)
    expected = (F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, rows)) / 2
    torch.testing.assert_close(InfoNCE(0.07, 0.0).double()(query, gallery, neutral_BB=neutral), expected, atol=1e-6, rtol=1e-6)
    both = InfoNCE(0.07, 0.0).double()(query, gallery, torch.arange(6), neutral)
    torch.testing.assert_close(both, expected, atol=1e-6, rtol=1e-6)


def test_rows_that_are_not_finite_are_told():
    query, gallery = pair()
    query[1, 0] = torch.nan
    gallery[4] = torch.inf
    with pytest.raises(NotFiniteError) as caught:
        InfoNCE().double()(query, gallery)
    assert caught.value.rows == [1, 4]
