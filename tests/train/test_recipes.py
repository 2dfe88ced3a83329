from __future__ import annotations

import json

import pytest

from crossfix.models.gengeo import build
from crossfix.train.config import first_difference
from crossfix.train.recipes import RECIPES, recipe
from crossfix.worlds import REGIONS
from crossfix.worlds.pairs import BankPlan


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipes_are_whole(name: str):
    config = recipe(name)
    assert config.recipe == name
    assert f"crossfix train {name} -o" in (RECIPES[name].__doc__ or "").splitlines()[0]
    assert config.to_dict() == json.loads(json.dumps(config.to_dict()))


def test_gengeo_tiny_never_sees_unseen_regions():
    config = recipe("gengeo-tiny")
    assert isinstance(config.data, BankPlan)
    assert not [region for region in config.data.regions if REGIONS[region].unseen]
    assert config.held_out < config.data.places - config.batch
    assert config.arch.px <= config.data.px, "pictures are never enlarged"


def test_gengeo_tiny_fits_into_sixteen_megabytes():
    parameters = sum(parameter.numel() for parameter in build(recipe("gengeo-tiny").arch).parameters())
    assert 2 * parameters < 16e6


def test_first_difference_names_the_field():
    assert first_difference({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}) == "a.c"
    assert first_difference({"a": 1}, {"a": 1, "b": 2}) == "b"
    assert first_difference({"a": [1, 2]}, {"a": [1, 2]}) is None
