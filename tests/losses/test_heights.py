import math

import pytest
import torch

from crossfix.losses.heights import TokenHeights


def loss(kind, **options):
    """Whose guess is the token's first channel."""
    made = TokenHeights(3, kind, **options)
    with torch.no_grad():
        made.predict.weight.copy_(torch.tensor([[1.0, 0.0, 0.0]]))
        made.predict.bias.zero_()
    return made


def tokens(guesses):
    guess = torch.tensor(guesses)
    return torch.stack([guess, torch.rand_like(guess), torch.rand_like(guess)], -1)


def test_values_are_compared_about_each_pictures_own_mean():
    tok = tokens([[0.0, 1.0, 2.0], [5.0, 5.0, 5.0]])
    height = torch.tensor([[100.0, 110.0, 120.0], [0.0, 0.0, 30.0]])
    seen = torch.ones(2, 3, dtype=torch.bool)
    # first: right but for where zero is. second: errors of 1, 1 and -2 units, whose smooth L1 is 0.5, 0.5 and 1.5
    assert float(loss("value")(tok, height, seen)) == pytest.approx((0 + 2.5 / 3) / 2)


def test_order_is_the_logistic_loss_of_all_pairs_that_differ():
    tok, height = tokens([[0.0, 1.0, 3.0]]), torch.tensor([[0.0, 20.0, 20.5]])
    seen = torch.ones(1, 3, dtype=torch.bool)
    wanted = (math.log1p(math.exp(-1)) + math.log1p(math.exp(-3))) / 2  # the last two differ by less than a tenth of a unit
    assert float(loss("order")(tok, height, seen)) == pytest.approx(wanted)


@pytest.mark.parametrize("kind", ["value", "order"])
def test_unknown_heights_count_for_nothing_even_if_they_are_nan(kind):
    tok, height = tokens([[0.0, 1.0, 3.0, 9.0], [0.0, 1.0, 3.0, 9.0]]), torch.tensor([[0.0, 20.0, 5.0, torch.nan], [torch.nan] * 4])
    seen = torch.tensor([[True, True, True, False], [False] * 4])
    made = loss(kind)
    value = made(tok, height, seen)
    assert float(value) == pytest.approx(float(made(tok[:1, :3], height[:1, :3], seen[:1, :3])))
    value.backward()
    assert made.predict.weight.grad.isfinite().all()


@pytest.mark.parametrize("kind", ["value", "order"])
def test_nothing_known_gives_zero_with_a_gradient(kind):
    tok = tokens([[0.0, 1.0]]).requires_grad_()
    value = loss(kind)(tok, torch.zeros(1, 2), torch.zeros(1, 2, dtype=torch.bool))
    value.backward()
    assert value.item() == 0
    assert tok.grad.abs().sum() == 0


@pytest.mark.parametrize("kind", ["value", "order"])
def test_heights_that_tokens_hold_are_learnt_and_others_are_not(kind):
    generator = torch.Generator().manual_seed(0)
    tok = torch.randn(8, 16, 6, generator=generator)
    true = (tok @ torch.randn(6, generator=generator)) * 10
    seen = torch.rand(8, 16, generator=generator) < 0.8
    ends = []
    for target in (true, true.flip(0)):
        torch.manual_seed(0)
        made = TokenHeights(6, kind)
        optimizer = torch.optim.Adam(made.parameters(), lr=0.05)
        for _ in range(150):
            optimizer.zero_grad()
            value = made(tok, target, seen)
            value.backward()
            optimizer.step()
        ends.append(value.item())
    assert ends[0] < 0.3 * ends[1]
