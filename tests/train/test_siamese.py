from __future__ import annotations

import dataclasses

import pytest
import torch

from crossfix.losses.contrastive import InfoNCE
from crossfix.models.gengeo import ArchConfig, GemConfig, MeanConfig, SaladConfig, build
from crossfix.train.prepare import Prepared
from crossfix.train.siamese import Siamese, recompute_

VIT = ArchConfig("test_vit", 64, MeanConfig(), trainable_blocks=2)


def batch(ground: tuple[int, int] = (32, 96)) -> Prepared:
    generator = torch.Generator().manual_seed(0)
    satellite, query = (torch.randn(4, 3, *hw, generator=generator) for hw in ((64, 64), ground))
    return Prepared(satellite, query, torch.arange(4), None, None)


def siamese(config: ArchConfig) -> Siamese:
    torch.manual_seed(0)
    return Siamese(build(config), InfoNCE(), None, 0.0).train()


@pytest.mark.parametrize("ground", [(64, 64), (32, 96)])
@pytest.mark.parametrize("config", [VIT, dataclasses.replace(VIT, separate_heads=True, head=GemConfig(8))])
def test_the_loss_is_that_of_the_models_descriptors(ground: tuple[int, int], config: ArchConfig):
    module, some = siamese(config), batch(ground)
    want = module.loss(module.model(some.query_BCHW, "query"), module.model(some.satellite_BCHW), some.place_J)
    torch.testing.assert_close(module(some), want)
    assert (module.model.satellite_head is None) is (config is VIT)


@pytest.mark.parametrize("config", [VIT, ArchConfig("convnext_atto", 64, MeanConfig(), stride=16)])
def test_computing_activations_again_changes_no_gradient(config: ArchConfig):
    gradients = []
    for again in (False, True):
        module = siamese(config)
        if again:
            recompute_(module.model.encoder)
        module(batch()).backward()
        gradients.append({name: p.grad for name, p in module.named_parameters() if p.grad is not None})
        assert list(module.state_dict()) == list(siamese(config).state_dict())
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


def test_it_keeps_fewer_activations():
    def kept(again: bool) -> int:
        module = siamese(ArchConfig("test_vit", 64, MeanConfig()))
        if again:
            recompute_(module.model.encoder)
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: sizes.append(tensor.numel()) or tensor, lambda tensor: tensor):
            module(batch())
        return sum(sizes)

    assert kept(again=True) < 0.5 * kept(again=False)


@pytest.mark.parametrize("pairs", [1, 3, 4])
def test_gradients_of_some_pairs_at_a_time_are_those_of_all(pairs: int):
    config = ArchConfig("test_vit", 64, SaladConfig(clusters=4, cluster_dim=8, token_dim=8, hidden=16, dropout=0.0), separate_heads=True)
    whole, parts = siamese(config), siamese(config)
    some = batch()._replace(neutral_JJ=torch.eye(4, dtype=torch.bool).roll(1, 0))
    loss = whole(some)
    loss.backward()
    found = parts.backward_cached(some, pairs, torch.Tensor.backward)
    torch.testing.assert_close(found, loss.detach(), atol=1e-6, rtol=1e-6)
    for (name, one), other in zip(whole.named_parameters(), parts.parameters(), strict=True):
        if one.grad is None:
            assert other.grad is None, name
        else:
            torch.testing.assert_close(other.grad, one.grad, atol=1e-5, rtol=1e-4)
