from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from crossfix.errors import InputError, ModelError, RunError
from crossfix.losses.contrastive import InfoNCE
from crossfix.train.gradcache import gradcache_step


def small_vit(**options):
    shape = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2, "num_classes": 0, "dynamic_img_size": True}
    return VisionTransformer(**shape, **options)


def small_convnet(drop_rate=0.0):
    first = [nn.Conv2d(3, 16, 3, stride=2), nn.GroupNorm(4, 16), nn.GELU(), nn.Dropout(drop_rate)]
    return nn.Sequential(*first, nn.Conv2d(16, 24, 3, stride=2), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Unit(nn.Module):
    def __init__(self, trunk):
        super().__init__()
        self.trunk = trunk

    def forward(self, img):
        return nn.functional.normalize(self.trunk(img).float(), dim=1)


def views(pairs=10):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(pairs, 3, 32, 32, generator=generator), torch.randn(pairs, 3, 16, 48, generator=generator)]


def plainly(encode, loss, inputs, micro):
    """The same batch with all activations kept."""
    encoders = [encode] * len(inputs) if callable(encode) else encode
    value = loss(*[torch.cat([one(part) for part in img.split(micro)]) for one, img in zip(encoders, inputs, strict=True)])
    value.backward()
    return value.detach()


def gradients(*modules):
    return [parameter.grad.clone() for module in modules for parameter in module.parameters() if parameter.grad is not None]


def both(encode, loss, inputs, micro, modules, plain_micro=None, **options):
    """Loss, gradients and the next random number: with gradient caching, and without."""
    results = []
    for cached in (True, False):
        for module in modules:
            module.zero_grad(set_to_none=True)
        torch.manual_seed(5)
        if cached:
            value = gradcache_step(encode, loss, inputs, micro, **options)
        else:
            value = plainly(encode, loss, inputs, plain_micro or micro)
        results.append((value, gradients(*modules), torch.rand(1)))
    return results


def assert_equal(results, tolerance=1e-5):
    (value, grads, _), (want_value, want_grads, _) = results
    assert abs(float(value - want_value)) <= tolerance
    assert len(grads) == len(want_grads) > 0
    scale = max(float(grad.abs().max()) for grad in want_grads)
    assert scale > 1e-3
    for grad, want in zip(grads, want_grads, strict=True):
        assert float((grad - want).abs().max()) <= tolerance * max(1.0, scale)


@pytest.mark.parametrize("micro", [1, 3, 4, 10])
@pytest.mark.parametrize("make", [small_vit, small_convnet])
def test_gradients_are_those_of_the_whole_batch(make, micro):
    torch.manual_seed(1)
    model, loss = Unit(make()), InfoNCE()
    assert_equal(both(model, loss, views(), micro, [model, loss], plain_micro=10))
    assert loss.log_scale.grad is not None


@pytest.mark.parametrize(
    "make", [lambda: small_vit(proj_drop_rate=0.2, attn_drop_rate=0.2, drop_path_rate=0.3), lambda: small_convnet(0.3)]
)
def test_dropout_is_the_same_in_both_passes_and_draws_no_more_numbers(make):
    torch.manual_seed(1)
    model, loss = Unit(make()).train(), InfoNCE()
    results = both(model, loss, views(), 4, [model, loss])
    assert_equal(results)
    assert results[0][2] == results[1][2]
    whole = both(model.eval(), loss, views(), 4, [model, loss])
    assert abs(float(whole[0][0] - results[0][0])) > 1e-4, "nothing was dropped"


def test_a_loss_may_draw_random_numbers_too():
    torch.manual_seed(1)
    model, dropout, info = Unit(small_convnet(0.3)).train(), nn.Dropout(0.2), InfoNCE()
    results = both(model, lambda one, other: info(dropout(one), dropout(other)), views(), 4, [model, info])
    assert_equal(results)
    assert results[0][2] == results[1][2]


def test_each_view_may_have_its_encoder_and_its_number_of_pictures():
    torch.manual_seed(1)
    ground, satellite = Unit(small_convnet()), Unit(small_vit())

    def loss(ground_BD, satellite_BD):
        return (ground_BD @ satellite_BD.T).logsumexp(1).mean() - (ground_BD @ satellite_BD[:10].T).diagonal().mean() * 5

    inputs = [views()[0], torch.randn(13, 3, 32, 32, generator=torch.Generator().manual_seed(3))]
    assert_equal(both([ground, satellite], loss, inputs, 4, [ground, satellite]))


def test_gradients_add_up_over_steps_and_frozen_parameters_get_none():
    torch.manual_seed(1)
    model, loss = Unit(small_vit()), InfoNCE()
    model.trunk.patch_embed.requires_grad_(False)
    gradcache_step(model, loss, views(), 4)
    once = gradients(model, loss)
    gradcache_step(model, loss, views(), 4)
    for grad, one in zip(gradients(model, loss), once, strict=True):
        torch.testing.assert_close(grad, 2 * one)
    assert model.trunk.patch_embed.proj.weight.grad is None


@pytest.mark.parametrize("inside", [True, False])
def test_reduced_precision_gives_gradients_to_its_own_accuracy(inside):
    torch.manual_seed(1)
    model, loss = Unit(small_vit()), InfoNCE()

    def encode(img):
        with torch.autocast("cpu", torch.bfloat16, enabled=inside):
            return model(img)

    value = plainly(model, loss, views(), 10)
    want = torch.cat([grad.reshape(-1) for grad in gradients(model, loss)])
    model.zero_grad()
    loss.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=not inside):
        cached = gradcache_step(encode, loss, views(), 4)
    found = torch.cat([grad.reshape(-1) for grad in gradients(model, loss)])
    assert abs(float(value - cached)) < 0.05
    assert torch.nn.functional.cosine_similarity(found, want, dim=0) > 0.99


def test_backward_may_scale_and_scales_once():
    torch.manual_seed(1)
    model, loss = Unit(small_vit()), InfoNCE()
    gradcache_step(model, loss, views(), 4)
    want = gradients(model, loss)
    model.zero_grad()
    loss.zero_grad()
    gradcache_step(model, loss, views(), 4, backward=lambda value: (1024 * value).backward())
    for grad, one in zip(gradients(model, loss), want, strict=True):
        torch.testing.assert_close(grad, 1024 * one)


def test_a_trainer_s_own_backward_fits():
    from lightning_fabric import Fabric

    torch.manual_seed(1)
    model, loss = Unit(small_vit()), InfoNCE()
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    wrapped = fabric.setup_module(model)
    gradcache_step(wrapped, loss, views(), 4, fabric.backward)
    assert all(bool(grad.isfinite().all()) for grad in gradients(model, loss))
    assert model.trunk.patch_embed.proj.weight.grad.abs().max() > 0


class Kept:
    """Counts the bytes that autograd keeps for the backward pass."""

    def __init__(self):
        self.now = self.most = 0

    def pack(self, tensor):
        held = Held(tensor)
        self.now += tensor.nbytes
        self.most = max(self.most, self.now)
        weakref.finalize(held, self.drop, tensor.nbytes)
        return held

    def drop(self, count):
        self.now -= count


class Held:
    def __init__(self, tensor):
        self.tensor = tensor


def test_no_more_is_kept_for_the_backward_pass_than_a_micro_batch_needs():
    torch.manual_seed(1)
    model, loss = Unit(small_vit()), InfoNCE()

    def most(step, *arguments):
        kept = Kept()
        with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda held: held.tensor):
            step(model, loss, *arguments)
        gc.collect()
        assert kept.now == 0
        return kept.most

    cached = most(gradcache_step, views(32), 2)
    assert cached < most(plainly, views(2), 2)
    assert cached < most(plainly, views(32), 32) / 10


class BatchNormed(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, **options)

    def forward(self, img):
        return self.norm(self.conv(img)).relu().mean((2, 3))


def test_batch_normalisation_is_refused_unless_its_statistics_are_frozen():
    torch.manual_seed(1)
    model, loss = BatchNormed(), InfoNCE()
    before = model.norm.running_mean.clone()
    with pytest.raises(ModelError, match="BatchNorm2d normalises by the statistics of its batch"):
        gradcache_step(model, loss, views(), 4)
    assert (model.norm.running_mean == before).all()
    model.norm.eval()
    assert_equal(both(model, loss, views(), 4, [model, loss], plain_micro=10))
    with pytest.raises(ModelError, match="normalises"):
        gradcache_step(BatchNormed(track_running_stats=False).eval(), loss, views(), 4)
    # as one micro-batch it is the whole batch
    assert_equal(both(model.train(), loss, views(), 10, [model, loss]))


def test_randomness_that_cannot_be_replayed_is_noticed():
    torch.manual_seed(1)
    model, generator = Unit(small_vit()), np.random.default_rng(0)
    with pytest.raises(RunError, match="otherwise the second time"):
        gradcache_step(lambda img: model(img) * float(generator.uniform(0.5, 2)), InfoNCE(), views(), 4)


def test_what_makes_no_sense_is_refused():
    model, loss = Unit(small_vit()), InfoNCE()
    with pytest.raises(InputError, match="micro-batch of 0"):
        gradcache_step(model, loss, views(), 0)
    with pytest.raises(InputError, match="1 encoders for 2 views"):
        gradcache_step([model], loss, views(), 4)
    with pytest.raises(ModelError, match="losses of tokens are not supported"):
        gradcache_step(lambda img: (model(img), img), loss, views(), 4)
    with pytest.raises(InputError, match="no scalar"):
        gradcache_step(model, lambda one, other: (one * other).sum(1), views(), 4)
    with pytest.raises(InputError, match="no scalar"):
        gradcache_step(model, lambda one, _: one.detach().sum(), views(), 4)
