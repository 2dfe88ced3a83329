from __future__ import annotations

import json
from itertools import chain, permutations

import pytest
import torch

from crossfix.data.registry import DATASETS
from crossfix.evaluate.stress import GROUPS
from crossfix.models.encoder import TokenEncoder
from crossfix.models.gengeo import MixVprConfig, SaladConfig, build
from crossfix.train.config import SetData, first_difference
from crossfix.train.recipes import RECIPES, recipe
from crossfix.train.recipes.geolink import transfers
from crossfix.worlds import REGIONS
from crossfix.worlds.pairs import BankPlan


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipes_are_whole(name: str):
    config = recipe(name)
    assert config.recipe == name
    data = f"--data {config.data.name}:ROOT " if isinstance(config.data, SetData) else ""
    assert (RECIPES[name].__doc__ or "").startswith(f"``crossfix train {name} {data}-o runs/"), "the command that runs it"
    assert config.to_dict() == json.loads(json.dumps(config.to_dict()))
    if isinstance(config.data, SetData):
        said = " ".join((RECIPES[name].__doc__ or "").split())
        assert "reckoned and not measured" in said or "Expect the same" in said, "hardware and hours"
        assert "R@1" in said or "Sample4Geo has" in said or "not been found" in said, "the number it aims at"


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_inputs_fit_the_encoders(name: str):
    config = recipe(name)
    if not isinstance(config.data, SetData):
        return
    with torch.device("meta"):
        encoder = TokenEncoder(config.arch.encoder, img_px=config.arch.px, stride=config.arch.stride, **config.arch.timm_kwargs)
    rows, columns = encoder.grid(*config.data.query_hw)  # raises where patches do not divide it
    if isinstance(config.arch.head, SaladConfig):
        assert rows * columns > config.arch.head.clusters
        assert config.data.query_hw[1] % 4 == 0, "a quarter turn rolls by whole pixels"
    if isinstance(config.arch.head, MixVprConfig):
        assert (rows, columns) == encoder.grid(config.arch.px, config.arch.px)


@pytest.mark.parametrize("name", ["cvcities-cvusa", "geolink-sues200"])
def test_the_2d_network_of_cv_cities_and_geolink_has_as_many_parameters_as_published(name: str):
    """90.50 million, counted as profilers do: in modules, without class token, positions and layer scales. No final norm is among them."""
    with torch.device("meta"):
        model = build(recipe(name).arch)
    bare = ("cls_token", "pos_embed", "gamma")
    assert sum(p.numel() for key, p in model.named_parameters() if not key.endswith(bare)) == 90_500_868


@pytest.mark.parametrize("name", ["gengeo-tiny-drone", "gengeo-tiny-weather", "gengeo-tiny"])
def test_gengeo_tiny_never_sees_unseen_regions(name: str):
    config = recipe(name)
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


def test_the_six_transfers_name_recipes_and_splits_that_are_there():
    found = transfers()
    assert {(one.source, one.target) for one in found} == set(permutations(("university1652", "sues200", "denseuav"), 2))
    for one in found:
        config = recipe(one.recipe)
        assert isinstance(config.data, SetData)
        assert config.data.name == one.source
        assert set(one.splits) <= set(DATASETS[one.target].splits)
        said = " ".join((RECIPES[one.recipe].__doc__ or "").split())
        scores = (one.d2s_r1, one.d2s_ap, one.s2d_r1, one.s2d_ap, *chain(*one.weather.values()))
        assert all(f"{score:.2f}" in said for score in scores if score is not None)
        assert set(one.weather) <= {member.dial for member in GROUPS["weather"]}
    assert [(one.source, one.target) for one in found if one.weather] == [("university1652", "sues200")]
