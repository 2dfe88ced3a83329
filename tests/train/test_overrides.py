from __future__ import annotations

import pytest

from crossfix.errors import InputError
from crossfix.train.overrides import overridden
from crossfix.train.recipes import recipe


def test_nothing_asked_changes_nothing():
    for name in ("gengeo-tiny", "gengeo-cvusa"):
        assert overridden(recipe(name)) == recipe(name)


def test_steps_take_the_place_of_epochs():
    config = overridden(recipe("gengeo-cvusa"), steps=10)
    assert (config.steps, config.epochs) == (10, 0)
    assert config.resolved(99).steps == 10
    assert recipe("gengeo-cvusa").resolved(99).steps == 40 * 99


def test_pictures_of_both_views_shrink_together_to_whole_patches():
    config = overridden(recipe("gengeo-cvusa"), px=112)
    assert config.arch.px == config.data.satellite_px == 112
    assert config.data.query_hw == (42, 224)
    config = overridden(recipe("gengeo-vigor-same"), px=160, encoder="test_vit")
    assert config.data.query_hw == (160, 320)
    assert overridden(recipe("gengeo-tiny"), px=96).arch.px == 96


def test_another_encoder_begins_with_random_numbers_and_is_trained_whole():
    config = overridden(recipe("gengeo-cvusa"), encoder="resnet18/16")
    assert (config.arch.encoder, config.arch.stride, config.arch.trainable_blocks, config.pretrained) == ("resnet18", 16, None, False)
    config = overridden(recipe("gengeo-cvusa"), encoder="vit_small_patch14_dinov2.lvd142m", pretrained=True)
    assert (config.arch.stride, config.arch.trainable_blocks, config.pretrained) == (None, 4, True)
    config = overridden(recipe("gengeo-cvusa"), pretrained=False)
    assert (config.arch.encoder, config.arch.trainable_blocks) == (recipe("gengeo-cvusa").arch.encoder, None)
    with pytest.raises(InputError, match="write it like resnet18/16"):
        overridden(recipe("gengeo-cvusa"), encoder="resnet18/half")


def test_another_transformer_lacks_the_final_norm_as_the_recipe_wants_it():
    assert overridden(recipe("cvcities-cvusa"), encoder="test_vit").arch.timm_kwargs == {"final_norm": False}
    assert overridden(recipe("cvcities-cvusa"), encoder="test_resnet/8").arch.timm_kwargs == {}
