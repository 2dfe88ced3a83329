"""The config of a training with 3D: what it refuses, and what it leaves alone."""

from __future__ import annotations

import dataclasses
import json

import pytest

from crossfix.errors import InputError
from crossfix.losses.geolink import TermsConfig
from crossfix.models.point_branch import PointConfig
from crossfix.train.geolink import GeoLinkTraining
from crossfix.train.recipes import recipe


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"clouds": "right ones"}, "clouds is 'right ones'; choose one of right, wrong, flat, none"),
        ({"turn": "drone"}, "choose one of satellite, none"),
        ({"radius_m": -1.0}, "radius_m is -1.0; give 0 or more"),
        ({"teacher_steps": 5}, "teacher_steps are for a frozen teacher"),
        ({"teacher": "frozen"}, "the frozen teacher would teach random numbers"),
        ({"teacher": "frozen", "points": PointConfig(kind="grid")}, "random numbers; .* experts = 0"),
        ({"terms": TermsConfig(cross=0.0, intra=0.0)}, "without clouds would teach nothing"),
        ({"terms": TermsConfig(heights=1.0)}, "give satellite_side_m"),
        ({"terms": TermsConfig(heights=1.0), "satellite_side_m": 180.0, "clouds": "none"}, "the term heights needs clouds"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(change: dict, says: str):
    with pytest.raises(InputError, match=says):
        GeoLinkTraining(**change)


def test_frozen_teachers_without_parameters_need_no_steps():
    assert GeoLinkTraining(teacher="frozen", points=PointConfig(kind="grid", experts=0)).teacher_steps == 0


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("gengeo-tiny-drone", {}, "3D is for drone pictures of a data set"),
        ("gengeo-cvusa", {}, "3D is for drone pictures of a data set"),
        ("cvcities-university1652", {"cached": 8}, "leave out cached and tokens_weight"),
    ],
)
def test_trainings_that_cannot_have_3d(name: str, change: dict, says: str):
    with pytest.raises(InputError, match=says):
        dataclasses.replace(recipe(name), geolink=GeoLinkTraining(), **change)


def test_configs_without_3d_are_written_as_before_and_with_it_as_json():
    assert "geolink" not in recipe("cvcities-university1652").to_dict()
    written = recipe("geolink-sues200").to_dict()
    assert written == json.loads(json.dumps(written))
    assert written["geolink"]["terms"]["mi"] == 0.1
    assert written["geolink"]["points"]["centres"] == [256, 64, 16]
