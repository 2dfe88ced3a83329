"""Every form of the dustbin against loops over tokens and clusters in float64, and what each promises."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crossfix.errors import ModelError
from crossfix.losses.contrastive import InfoNCE
from crossfix.models.salad import Salad
from crossfix.models.transport import balanced_plan, column_plan, gated_plan, partial_plan, relaxed_plan, transport_plan

LEARNED = ["relaxed", "column", "partial", "gate"]


def plan(form, score, keep, z, iterations=3, rho=1.0):
    """One form's plan; `keep` is used by those that have a logit a token."""
    z = torch.as_tensor(z, dtype=score.dtype)
    if form == "fixed":
        return transport_plan(score, z, iterations)
    if form == "none":
        return balanced_plan(score, iterations)
    if form == "relaxed":
        return relaxed_plan(score, z, iterations, rho)
    if form == "column":
        return column_plan(score, z)
    return (partial_plan if form == "partial" else gated_plan)(score, keep - z, iterations)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def reference(form, score, keep, z, iterations, rho):
    """One image by scaling rows and columns of exp(score), written from the docstrings; score (M, N)."""
    m, n = score.shape
    held, bin_row, wanted, power = [1.0] * n, [z] * n, [1.0] * m + [float(n - m)], 1.0
    if form == "none":
        bin_row, wanted = None, [n / m] * m
    elif form == "relaxed":
        power = rho / (1 + rho)
    elif form in ("partial", "gate"):
        share = [sigmoid(a - z) for a in keep]
        wanted = [sum(share) / m] * m + [n - sum(share)]
        bin_row = [-(a - z) for a in keep]
        if form == "gate":
            held, bin_row, wanted = share, None, wanted[:m]
    elif form == "column":
        iterations, power = 1, 0.0
    rows = [[math.exp(s) for s in row] for row in (score.tolist() if bin_row is None else [*score.tolist(), bin_row])]
    right = [1.0] * n
    for _ in range(iterations):
        left = [(wanted[j] / sum(rows[j][i] * right[i] for i in range(n))) ** power for j in range(len(rows))]
        right = [held[i] / sum(rows[j][i] * left[j] for j in range(len(rows))) for i in range(n)]
    return np.array([[rows[j][i] * left[j] * right[i] for i in range(n)] for j in range(m)])


@pytest.mark.parametrize("form", ["fixed", "none", *LEARNED])
@pytest.mark.parametrize(("iterations", "rho"), [(1, 1.0), (3, 0.3), (30, 4.0)])
def test_equals_loops(form, iterations, rho):
    rng = np.random.default_rng(1)
    score, keep, z = 2 * rng.normal(size=(2, 4, 11)), 2 * rng.normal(size=(2, 11)), 0.7
    got = plan(form, torch.tensor(score), torch.tensor(keep), z, iterations, rho).numpy()
    single = plan(form, torch.tensor(score).float(), torch.tensor(keep).float(), z, iterations, rho)
    assert single.dtype == torch.float32
    for image in range(2):
        wanted = reference(form, score[image], keep[image], z, iterations, rho)
        np.testing.assert_allclose(got[image], wanted, rtol=1e-10)
        np.testing.assert_allclose(single[image].numpy(), wanted, rtol=3e-5)


def test_relaxed_plan_is_the_minimum_it_says():
    """No plan whose columns sum to 1 has a lower value, whatever direction one goes."""
    rng = np.random.default_rng(0)
    m, n, rho, z = 3, 8, 0.7, 0.4
    score = rng.normal(size=(m, n))
    kept = relaxed_plan(torch.tensor(score)[None], torch.tensor(z, dtype=torch.float64), 300, rho)[0].numpy()
    best = np.vstack([kept, 1 - kept.sum(0)])
    rows = np.vstack([score, np.full(n, z)])
    wanted = np.array([1.0] * m + [n - m])

    def value(p):
        taken = p.sum(1)
        divergence = taken * np.log(taken / wanted) - taken + wanted
        return (p * (np.log(p) - 1) - rows * p).sum() + rho * divergence.sum()

    for _ in range(200):
        step = rng.normal(size=best.shape)
        step -= step.mean(0)  # columns keep their sums
        for size in (1e-4, 1e-2):
            other = best + size * best.min() * step
            assert value(other) > value(best)


def test_relaxed_lies_between_column_and_fixed():
    score, z = torch.randn(2, 4, 20, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
    torch.testing.assert_close(relaxed_plan(score, z, 5, 0.0), column_plan(score, z))
    torch.testing.assert_close(relaxed_plan(score, z, 2000, 1e6), transport_plan(score, z, 200), atol=1e-4, rtol=0)


LOGIT = st.floats(-6, 6)


@pytest.mark.parametrize("form", ["fixed", "none", *LEARNED])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), z=LOGIT, shift=LOGIT, scale=st.floats(0, 4), clusters=st.integers(1, 6), more=st.integers(1, 12))
def test_what_is_kept_lies_between_its_bounds(form, seed, z, shift, scale, clusters, more):
    tokens = clusters + more
    draw = torch.Generator().manual_seed(seed)
    score = scale * torch.randn(1, clusters, tokens, generator=draw, dtype=torch.float64) + shift
    keep = scale * torch.randn(1, tokens, generator=draw, dtype=torch.float64)
    got = plan(form, score, keep, z, iterations=200)
    assert (got >= 0).all()
    of_token, of_cluster = got.sum(1)[0], got.sum(2)[0]
    assert of_token.max() <= 1 + 1e-9
    share = torch.sigmoid(keep - z)[0]
    if form == "fixed":
        torch.testing.assert_close(of_cluster, torch.ones_like(of_cluster), atol=1e-3, rtol=0)
    elif form == "none":
        torch.testing.assert_close(of_token, torch.ones_like(of_token))
        torch.testing.assert_close(of_cluster.sum(), of_token.sum())
    elif form == "gate":
        torch.testing.assert_close(of_token, share)
    elif form == "partial":
        torch.testing.assert_close(of_cluster.sum(), share.sum(), atol=1e-3, rtol=1e-3)
    else:
        assert 0 < of_cluster.sum() < tokens


@pytest.mark.parametrize("form", LEARNED)
def test_the_dustbins_score_decides_how_much_is_kept(form):
    """In the published form it decides nothing."""
    score, keep = torch.randn(1, 4, 30), torch.randn(1, 30)
    kept = [float(plan(form, score, keep, z).sum()) for z in (-4.0, 0.0, 4.0)]
    assert kept[0] > kept[1] + 1 > kept[2] + 2
    assert len({float(plan("fixed", score.double(), keep, z).sum().round(decimals=9)) for z in (-4.0, 0.0, 4.0)}) == 1


@pytest.mark.parametrize("form", LEARNED)
def test_images_keep_different_amounts(form):
    """The same network leaves more out of an image whose tokens look like nothing it knows."""
    known, unknown = torch.randn(1, 4, 30) + 2, torch.randn(1, 4, 30) - 4
    kept = [
        float(plan(form, score, keep, 0.0).sum())
        for score, keep in ((known, torch.full((1, 30), 2.0)), (unknown, torch.full((1, 30), -4.0)))
    ]
    assert kept[0] > 1.5 * kept[1]
    assert abs(float(plan("fixed", known, None, 0.0, 50).sum() - plan("fixed", unknown, None, 0.0, 50).sum())) < 1e-3


def head(form, dim=10, **sizes):
    torch.manual_seed(0)
    return Salad(dim, **{"clusters": 4, "cluster_dim": 3, "token_dim": 5, "hidden": 8, "dropout": 0.0, "dustbin": form, **sizes}).double()


@pytest.mark.parametrize("weight", ["equal", "mass"])
@pytest.mark.parametrize("form", ["fixed", *LEARNED])
def test_gradient_of_the_dustbins_score(form, weight):
    """Zero in the published form, and there it is not even worth a parameter; not zero where it is learned."""
    salad = head(form, cluster_weight=weight, iterations=30)
    desc = salad(2 * torch.randn(2, 20, 10, dtype=torch.float64))
    (desc * torch.randn_like(desc)).sum().backward()
    grad = abs(float(salad.dustbin.grad))
    assert grad < 1e-12 if form == "fixed" else grad > 1e-4
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for name, p in salad.named_parameters() if name != "dustbin")


@pytest.mark.parametrize("weight", ["equal", "mass"])
@pytest.mark.parametrize("form", ["none", *LEARNED])
def test_gradients(form, weight):
    salad = head(form, dim=4, clusters=2, cluster_dim=2, token_dim=0, hidden=3, cluster_weight=weight)
    tok = torch.randn(1, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(salad, (tok,))
    names, params = zip(*salad.named_parameters(), strict=True)

    def of_parameters(*values):
        return torch.func.functional_call(salad, dict(zip(names, values, strict=True)), (tok.detach(),))

    assert torch.autograd.gradcheck(of_parameters, params)


@pytest.mark.parametrize("form", LEARNED)
@pytest.mark.parametrize(("clusters", "tokens"), [(16, 64), (64, 256)])
def test_learned_forms_start_alike(form, clusters, tokens):
    torch.manual_seed(0)
    salad = Salad(32, clusters, hidden=64, dropout=0.0, dustbin=form)
    with torch.no_grad():
        kept = salad.assign(torch.randn(4, tokens, 32)).sum((1, 2)) / tokens
    torch.testing.assert_close(kept, torch.full((4,), 0.27), atol=0.04, rtol=0)


@pytest.mark.parametrize("form", ["fixed", "none", *LEARNED])
def test_the_order_of_tokens_does_not_matter(form):
    salad, tok = head(form), torch.randn(1, 20, 10, dtype=torch.float64)
    order = torch.randperm(20)
    torch.testing.assert_close(salad.assign(tok[:, order]), salad.assign(tok)[:, :, order])
    torch.testing.assert_close(salad(tok[:, order]), salad(tok))


@pytest.mark.parametrize("form", ["fixed", "none", *LEARNED])
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_scores_stay_finite(form, size):
    score = torch.zeros(1, 4, 20)
    score[0, 0], score[0, 1], score[0, :, 3] = size, -size, -1e4
    keep = torch.zeros(1, 20)
    keep[0, :5], keep[0, 5:9] = size, -size
    score.requires_grad_()
    keep.requires_grad_()
    z = torch.tensor(size / 2, requires_grad=True)
    got = plan(form, score, keep, z)
    got.square().sum().backward()
    assert torch.isfinite(got).all()
    assert got.sum(1).max() <= 1 + 1e-4
    for leaf in (score, keep, z):
        assert leaf.grad is None or torch.isfinite(leaf.grad).all()


@pytest.mark.parametrize("form", ["none", *LEARNED])
def test_an_image_of_which_nothing_is_kept_stays_finite(form):
    salad = head(form, cluster_weight="mass").float()
    if salad.dustbin is not None:
        salad.dustbin.data.fill_(300.0)
    tok = torch.randn(1, 20, 10, requires_grad=True)
    desc = salad(tok)
    desc.square().sum().backward()
    assert torch.isfinite(desc).all()
    assert torch.isfinite(tok.grad).all()


@pytest.mark.parametrize("form", LEARNED)
def test_float32_under_autocast(form):
    salad = head(form).float()
    tok = torch.randn(2, 200, 10)
    with torch.autocast("cpu", torch.bfloat16):
        got, desc = salad.assign(tok), salad(tok)
    assert got.dtype == desc.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(desc, salad(tok)).min() > 0.999


def test_which_forms_need_more_tokens_than_clusters():
    score, z = torch.randn(1, 8, 6), torch.tensor(1.0)
    for call in (lambda: transport_plan(score, z, 3), lambda: relaxed_plan(score, z, 3, 1.0)):
        with pytest.raises(ModelError, match="more tokens than clusters, got 6 tokens for 8 clusters"):
            call()
    for form in ("none", "column", "partial", "gate"):
        assert head(form, clusters=8)(torch.randn(1, 6, 10, dtype=torch.float64)).isfinite().all()


def toy_view(draw, seen, noisy):
    """A view of each place, sixteen tokens: the last `noisy` are noise about one junk token, the others what is seen at the place."""
    places = len(seen)
    junk = torch.zeros(16)
    junk[-4:] = 2.0
    noise = junk + 1.5 * torch.randn(places, 16, 16, generator=draw)
    is_noise = torch.arange(16) >= 16 - noisy[:, None]
    return torch.where(is_noise[..., None], noise, seen + 0.1 * torch.randn(places, 16, 16, generator=draw)), is_noise


def trained_on_noise(form, weight):
    """A small head after a few steps on pairs of views, of which a quarter to three quarters of the tokens are noise of each view's own."""
    torch.manual_seed(1)
    draw = torch.Generator().manual_seed(0)
    salad = Salad(16, 4, 8, 0, hidden=32, dropout=0.0, dustbin=form, cluster_weight=weight)
    things = 2 * torch.randn(6, 16, generator=draw)
    things[:, -4:] = 0

    def seen(places):
        return things[torch.randint(len(things), (places, 16), generator=draw)] + 0.7 * torch.randn(places, 16, 16, generator=draw)

    loss = InfoNCE(0.1, 0.0)
    optimizer = torch.optim.Adam([*salad.parameters(), *loss.parameters()], 5e-3)
    place = torch.arange(32)
    for _ in range(120):
        same = seen(32)
        views = [toy_view(draw, same, torch.randint(4, 13, (32,), generator=draw))[0] for _ in range(2)]
        optimizer.zero_grad()
        loss(salad(views[0]), salad(views[1]), place).backward()
        optimizer.step()
    noisy = torch.tensor([4, 12]).repeat(64)
    with torch.no_grad():
        tok, is_noise = toy_view(draw, seen(128), noisy)
        return salad.assign(tok).sum(1), is_noise, noisy


@pytest.mark.parametrize("weight", ["equal", "mass"])
@pytest.mark.parametrize("form", LEARNED)
def test_noise_is_left_out_after_a_few_steps(form, weight):
    kept, is_noise, noisy = trained_on_noise(form, weight)
    assert kept[is_noise].mean() < 0.6 * kept[~is_noise].mean()
    assert kept[noisy == 12].mean() < 0.6 * kept[noisy == 4].mean(), "of an image with more noise, more is left out"


def test_the_published_form_leaves_as_much_out_of_every_image():
    kept, is_noise, noisy = trained_on_noise("fixed", "equal")
    assert kept[is_noise].mean() < kept[~is_noise].mean()  # which tokens it leaves out is learned
    assert kept[noisy == 12].mean() > 0.85 * kept[noisy == 4].mean()  # how much is not, but for what three iterations leave open
