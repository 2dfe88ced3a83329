import math

import numpy as np
import pytest
import torch

from crossfix.errors import RunError
from crossfix.losses.club import Club


def correlated(count, dims, rho, seed):
    x, noise = torch.randn(2, count, dims, generator=torch.Generator().manual_seed(seed))
    return x, rho * x + math.sqrt(1 - rho**2) * noise


def bound_after_fitting(rho, dims=16, steps=100):
    torch.manual_seed(0)
    club = Club(dims, dims, 64, unit_norm=False)
    optimizer = torch.optim.Adam(club.parameters(), lr=5e-3)
    for step in range(steps):
        optimizer.zero_grad()
        club.fit_loss(*correlated(256, dims, rho, step)).backward()
        optimizer.step()
    with torch.no_grad():
        return dims * float(club(*correlated(8000, dims, rho, 10_000)))


def test_never_under_the_true_information_and_rising_with_it():
    rhos = (0.0, 0.3, 0.6, 0.9)
    bounds = [bound_after_fitting(rho) for rho in rhos]
    truth = [-8 * math.log(1 - rho**2) for rho in rhos]
    # 0.02 nats are what 8,000 draws can err by where there is nothing to find
    assert all(bound >= 0.95 * true - 0.02 for bound, true in zip(bounds, truth, strict=True))
    assert bounds == sorted(bounds)
    assert abs(bounds[0]) < 0.1


def random_q(x_dim=5, y_dim=7, **options):
    torch.manual_seed(0)
    club = Club(x_dim, y_dim, 8, **options)
    for head in (club.mean, club.log_variance):
        torch.nn.init.normal_(head[2].weight, std=2.0)
    return club


def test_equals_the_double_sum():
    club = random_q()
    x, y = (torch.nn.functional.normalize(torch.randn(6, n), dim=1) for n in (5, 7))
    with torch.no_grad():
        mean = club.mean(x * math.sqrt(5)).double().numpy()
        spread = 3 * np.tanh(club.log_variance(x * math.sqrt(5)).double().numpy() / 3)
    true = y.double().numpy() * math.sqrt(7)

    def log_q(i, j):
        return np.mean(
            [-((true[j, c] - mean[i, c]) ** 2) / 2 / math.exp(spread[i, c]) - (spread[i, c] + math.log(2 * math.pi)) / 2 for c in range(7)]
        )

    own = np.mean([log_q(i, i) for i in range(6)])
    others = np.mean([log_q(i, j) for i in range(6) for j in range(6) if i != j])
    assert float(club(x, y)) == pytest.approx(own - others, rel=1e-4)
    assert club.fit_loss(x, y).item() == pytest.approx(-own, rel=1e-4)
    assert float(club.likelihood_loss(x, y)) == pytest.approx(-own, rel=1e-4)


def test_sets_are_bounded_each_for_itself():
    club = random_q()
    x, y = torch.randn(8, 5), torch.randn(8, 7)
    alone = (club(x[:4], y[:4]) + club(x[4:], y[4:])) / 2
    torch.testing.assert_close(club(x, y, sets=2), alone)


def test_gradients_of_model_and_q_do_not_meet():
    club = random_q()
    x, y = torch.randn(6, 5, requires_grad=True), torch.randn(6, 7, requires_grad=True)
    for loss in (club(x, y), club.likelihood_loss(x, y)):
        loss.backward()
        assert x.grad.abs().sum() > 0
        assert all(p.grad is None for p in club.parameters())
        x.grad = y.grad = None
    club.fit_loss(x, y).backward()
    assert x.grad is None
    assert y.grad is None
    assert all(p.grad.abs().sum() > 0 for p in club.parameters())


def test_an_unfitted_q_says_nothing_and_pulls_at_nothing():
    club = Club(5, 7)
    x, y = torch.randn(6, 5, requires_grad=True), torch.randn(6, 7, requires_grad=True)
    value = club(x, y)
    value.backward()
    assert abs(value.item()) < 1e-6
    assert x.grad.abs().max() == 0
    assert y.grad.abs().max() < 1e-6


@pytest.mark.parametrize("dim", [16, 8448])
def test_the_scale_does_not_hang_on_the_number_of_entries(dim):
    torch.manual_seed(0)
    club = Club(dim, dim, 4)
    y = torch.nn.functional.normalize(torch.randn(32, dim), dim=1)
    assert club.fit_loss(y, y).item() == pytest.approx(0.5 * (1 + math.log(2 * math.pi)), abs=0.01)
    torch.nn.init.normal_(club.log_variance[2].weight, std=1e4)  # as far out as it gets
    assert abs(float(club(y, y))) < 2 * math.exp(3.0)


def test_float32_under_autocast():
    club, x, y = random_q(), torch.randn(6, 5), torch.randn(6, 7)
    wanted = club(x, y), club.fit_loss(x, y)
    with torch.autocast("cpu", torch.bfloat16):
        got = club(x, y), club.fit_loss(x, y)
    assert all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True))


def test_a_single_pair_and_values_that_are_not_finite():
    with pytest.raises(RunError, match="single pair"):
        Club(5, 7)(torch.randn(1, 5), torch.randn(1, 7))
    with pytest.raises(RunError, match="mutual information term is nan"):
        random_q()(torch.full((4, 5), torch.nan), torch.randn(4, 7))
