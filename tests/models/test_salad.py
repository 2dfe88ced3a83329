"""SALAD against an implementation written from the equations with loops, in float64."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from crossfix.errors import ModelError
from crossfix.models.salad import Salad
from crossfix.models.transport import transport_plan


def small(dim=10, **sizes):
    torch.manual_seed(0)
    head = Salad(dim, **{"clusters": 4, "cluster_dim": 3, "token_dim": 5, "hidden": 8, **sizes}).eval()
    for part in (head.token, head.feature, head.score):
        if part is not None:
            torch.nn.init.normal_(part[-1].bias)  # the default is too small to notice a bias that was left out
    return head


def perceptron(layers, x):
    first, last = layers[0], layers[-1]
    w1, b1, w2, b2 = (p.detach().numpy().astype(np.float64) for p in (first.weight, first.bias, last.weight, last.bias))
    return w2 @ np.maximum(w1 @ x + b1, 0) + b2


def reference(head, tokens, token):
    """One picture, from the paper's equations: alternate normalisation of exp of the scores, columns of tokens, rows of clusters."""
    n, m = len(tokens), head.clusters
    kernel = np.zeros((n, m + 1))
    feature = np.zeros((n, head.feature[-1].out_features))
    for i in range(n):
        kernel[i, :m] = np.exp(perceptron(head.score, tokens[i]))
        kernel[i, m] = math.exp(head.dustbin.item())
        feature[i] = perceptron(head.feature, tokens[i])
    wanted = [1.0] * m + [float(n - m)]
    for _ in range(head.iterations):
        for j in range(m + 1):
            kernel[:, j] *= wanted[j] / kernel[:, j].sum()
        for i in range(n):
            kernel[i] /= kernel[i].sum()
    out = []
    for k in range(feature.shape[1]):
        for j in range(m):
            out.append(sum(kernel[i, j] * feature[i, k] for i in range(n)))
    clusters = np.array(out).reshape(-1, m)
    clusters = clusters / np.sqrt((clusters**2).sum(0, keepdims=True))
    g = perceptron(head.token, token)
    whole = np.concatenate([g / np.linalg.norm(g), clusters.reshape(-1)])
    return whole / np.linalg.norm(whole), kernel


@pytest.mark.parametrize(("tokens", "iterations"), [(5, 3), (30, 3), (30, 1)])
def test_equals_the_equations_in_float64(tokens, iterations):
    head = small(iterations=iterations)
    rng = np.random.default_rng(1)
    tok, cls = 2 * rng.normal(size=(2, tokens, 10)), rng.normal(size=(2, 10))
    with torch.no_grad():
        got = head(torch.tensor(tok).float(), torch.tensor(cls).float())
    assert got.dtype == torch.float32
    for row in range(2):
        wanted, _ = reference(head, tok[row], cls[row])
        assert np.abs(got[row].numpy() - wanted).max() < 1e-5


def test_equals_the_equations_at_the_published_size():
    head = Salad(768).eval()
    rng = np.random.default_rng(2)
    tok, cls = rng.normal(size=(256, 768)), rng.normal(size=768)
    with torch.no_grad():
        got = head(torch.tensor(tok).float()[None], torch.tensor(cls).float()[None])[0].numpy()
    assert got.shape == (8448,)
    assert np.abs(got - reference(head, tok, cls)[0]).max() < 1e-5


def test_marginals():
    score = 1.5 * torch.randn(3, 16, 256, generator=torch.Generator().manual_seed(0))
    plan = transport_plan(score, torch.tensor(1.0), 3)
    assert plan.shape == (3, 16, 256)
    torch.testing.assert_close(plan.sum(2), torch.ones(3, 16), atol=2e-3, rtol=0)  # each cluster takes 1: 16 of 256 are kept
    assert (plan >= 0).all()
    assert plan.sum(1).max() <= 1 + 1e-5  # the dustbin takes the rest of each token
    converged = transport_plan(score.double(), torch.tensor(1.0), 200)
    torch.testing.assert_close(converged.sum(2), torch.ones(3, 16, dtype=torch.float64), atol=1e-9, rtol=0)


def test_dustbin_and_last_score_bias_have_no_effect():
    score = torch.randn(2, 4, 30, dtype=torch.float64)
    for iterations in (1, 3):
        plans = [transport_plan(score, torch.tensor(z, dtype=torch.float64), iterations) for z in (1.0, 7.0)]
        torch.testing.assert_close(*plans, atol=1e-14, rtol=0)
    head = small().double()
    tok = torch.randn(1, 30, 10, dtype=torch.float64)
    before = head(tok)
    head.score[-1].bias.data += torch.randn(4, dtype=torch.float64)
    torch.testing.assert_close(head(tok), before, atol=1e-12, rtol=0)
    (head(tok) * torch.randn_like(before)).sum().backward()
    assert abs(float(head.dustbin.grad)) < 1e-12


def test_convention_parts_of_the_descriptor():
    """[global, clusters]: the global part carries 1 / (clusters + 1) of the squared norm, each cluster as much; feature-major."""
    head = small()
    desc = head(torch.randn(2, 30, 10), torch.randn(2, 10))
    torch.testing.assert_close(desc.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(desc[:, :5].square().sum(1), torch.full((2,), 1 / 5))
    clusters = desc[:, 5:].reshape(2, 3, 4)  # entry k * clusters + j
    torch.testing.assert_close(clusters.square().sum(1), torch.full((2, 4), 1 / 5))


def test_parameters_of_the_published_size():
    def count(module):
        return sum(p.numel() for p in module.parameters())

    head = Salad(768)
    assert (count(head.score), count(head.feature), count(head.token), count(head)) == (426_560, 459_392, 525_056, 1_411_009)
    assert head.out_dim == 8448
    assert Salad(768, 16, 32, 32).out_dim == 544
    assert Salad(768, 32, 64, 64).out_dim == 2112


@pytest.mark.parametrize("tokens", [1, 49, 64])
def test_too_few_tokens(tokens):
    with pytest.raises(ModelError, match=f"more tokens than clusters, got {tokens} tokens for 64 clusters"):
        Salad(8)(torch.randn(1, tokens, 8))


def test_one_token_more_than_clusters_and_one_picture():
    assert torch.isfinite(Salad(8, clusters=1)(torch.randn(1, 2, 8))).all()
    assert torch.isfinite(Salad(8)(torch.randn(1, 65, 8))).all()


def test_without_class_token_the_mean_token_stands_in():
    head = small()
    tok = torch.randn(2, 30, 10)
    torch.testing.assert_close(head(tok), head(tok, tok.mean(1)))


def test_gradients():
    head = small(dim=4, clusters=2, cluster_dim=2, token_dim=2, hidden=3).double()
    tok, cls = torch.randn(1, 5, 4, dtype=torch.float64, requires_grad=True), torch.randn(1, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(head, (tok, cls))
    names, params = zip(*((n, p) for n, p in head.named_parameters() if n != "dustbin"), strict=True)

    def of_parameters(*values):
        return torch.func.functional_call(head, dict(zip(names, values, strict=True)), (tok.detach(), cls.detach()))

    assert torch.autograd.gradcheck(of_parameters, params)


def test_transport_is_float32_under_autocast():
    head = small()
    tok = 3 * torch.randn(2, 200, 10)
    with torch.autocast("cpu", torch.bfloat16):
        plan = head.assign(tok)
        desc = head(tok)
    assert plan.dtype == desc.dtype == torch.float32
    torch.testing.assert_close(plan.sum(2), torch.ones(2, 4), atol=5e-3, rtol=0)  # bfloat16 sums would be off by more than that
    assert torch.nn.functional.cosine_similarity(desc, head(tok)).min() > 0.999


def test_extreme_scores_stay_finite():
    score = torch.zeros(1, 4, 20)
    score[0, 0] = 1e4
    score[0, 1] = -1e4
    score.requires_grad_()
    plan = transport_plan(score, torch.tensor(1.0), 3)
    plan.square().sum().backward()
    assert torch.isfinite(plan).all()
    assert torch.isfinite(score.grad).all()


def test_dropout_acts_before_the_relu_in_training_only():
    head = small(hidden=256, dropout=0.5)
    tok = torch.randn(1, 30, 10)
    torch.testing.assert_close(head(tok), head(tok))
    head.train()
    assert (head(tok) - head(tok)).abs().max() > 1e-3
    for part in (head.feature, head.score):
        assert [type(layer).__name__ for layer in part] == ["Linear", "Dropout", "ReLU", "Linear"]
    assert [type(layer).__name__ for layer in head.token] == ["Linear", "ReLU", "Linear"]


def test_memory_does_not_hold_tokens_times_clusters_times_features():
    """At B 8, N 729, M 64, L 128 that tensor alone is 191 MB a copy; the head's own activations are a tenth of it."""
    code = (
        "import resource, torch; from crossfix.models.salad import Salad; torch.set_num_threads(1); h = Salad(384, hidden=64);"
        "h(torch.randn(1, 65, 384)).sum().backward();"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024; a = peak();"
        "h(torch.randn(8, 729, 384)).sum().backward(); print(peak() - a)"
    )
    used_mb = int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert used_mb < 150


def test_without_a_global_part():
    head = small(token_dim=0)
    tok = torch.randn(2, 30, 10)
    assert head.token is None
    assert head(tok).shape == (2, 12) == (2, head.out_dim)
    torch.manual_seed(1)
    with_global = Salad(10, 4, 3, 5, 8).eval()
    with_global.load_state_dict(head.state_dict(), strict=False)
    clusters = with_global(tok)[:, 5:]
    torch.testing.assert_close(head(tok), clusters / clusters.norm(dim=1, keepdim=True))


def test_clusters_weighed_by_what_they_take():
    head = small(dustbin="column", cluster_weight="mass")
    tok = 2 * torch.randn(2, 30, 10)
    mass = head.assign(tok).sum(2)
    clusters = head(tok)[:, 5:].reshape(2, 3, 4)
    torch.testing.assert_close(clusters.square().sum(1), 4 / 5 * mass / mass.sum(1, keepdim=True))
    fixed = [small(cluster_weight=weight, iterations=100)(tok) for weight in ("equal", "mass")]
    torch.testing.assert_close(*fixed, atol=1e-4, rtol=0)


@pytest.mark.parametrize("wrong", [{"dustbin": "bag"}, {"cluster_weight": "much"}, {"relaxation": -0.5}, {"iterations": 0}])
def test_forms_there_are_not(wrong):
    with pytest.raises(ModelError, match=r"SALAD (knows no|cannot work)"):
        small(**wrong)


@pytest.mark.parametrize(
    ("form", "more"), [("fixed", set()), ("relaxed", set()), ("column", set()), ("gate", {"keep"}), ("partial", {"keep"})]
)
def test_a_published_checkpoint_fits_every_form_with_a_dustbin(form, more):
    missing, unexpected = small(dustbin=form).load_state_dict(small().state_dict(), strict=False)
    assert {name.split(".")[0] for name in missing} == more
    assert not unexpected
