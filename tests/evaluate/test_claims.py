"""Claims: their variants can be trained, and differ in what their names say."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from crossfix.errors import InputError
from crossfix.evaluate.claims import CLAIM_GROUPS, CLAIMS, claim
from crossfix.evaluate.trials import GROUPS, Trial
from crossfix.models.gengeo import MixVprConfig, SaladConfig
from crossfix.train.config import SetData, first_difference
from crossfix.train.loop import train
from crossfix.train.panoramas import PanoramaAugment
from lab_clouds import write_lab_with_clouds

GEOLINK = {trial.name: trial for trial in claim("geolink", small=True)}
FUSION = {trial.name: trial for trial in claim("fusion", small=True)}
GROUND = {trial.name: trial for trial in claim("gengeo-ground", small=True)}
SALAD = SaladConfig(cluster_dim=8, token_dim=8, hidden=16, dropout=0.0)
CLOUDS = {trial.name: trial for trial in claim("geolink-clouds", small=True)}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lab_with_clouds(tmp_path_factory.mktemp("lab"), points=4000, cameras=True)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose pictures say where they look."""
    return write_lab_with_clouds(tmp_path_factory.mktemp("told"), points=4000, headings=True, cameras=True)


@pytest.mark.parametrize("name", sorted(CLAIMS))
@pytest.mark.parametrize("small", [True, False])
def test_claims_are_whole(name: str, small: bool):
    trials = claim(name, small=small)
    assert len({trial.name for trial in trials}) == len(trials) > 1
    assert all(trial.about and isinstance(trial.config.data, SetData) for trial in trials)
    assert set(CLAIM_GROUPS[name]) <= set(GROUPS)


def test_an_unknown_claim_is_one_sentence():
    with pytest.raises(InputError, match="there is no such claim; choose one of gengeo, gengeo-ground, dustbin, oracles"):
        claim("gravity")


def test_every_3d_variant_with_a_wrong_twin_differs_from_it_in_nothing_else():
    twins = [name for name in GEOLINK if name.endswith("-wrong")]
    assert sorted(twins) == ["all-wrong", "grid-wrong", "heights-wrong", "teacher-wrong", "tokens-wrong"]
    for name in twins:
        right, wrong = GEOLINK[name.removesuffix("-wrong")].config, GEOLINK[name].config
        assert first_difference(right.to_dict(), wrong.to_dict()) == "geolink.clouds"
        assert dataclasses.replace(wrong, geolink=dataclasses.replace(wrong.geolink, clouds="right")) == right  # type: ignore[type-var]


def test_fusion_and_its_controls_differ_in_what_their_names_say_alone():
    fusion = FUSION["fusion"].config
    for name in ("wrong", "flat"):
        other = FUSION[f"fusion-{name}"].config
        assert dataclasses.replace(other, geolink=dataclasses.replace(other.geolink, clouds="right")) == fusion  # type: ignore[type-var]
    assert first_difference(fusion.to_dict(), FUSION["fusion-drones"].config.to_dict()) == "geolink.terms.ground_tokens"
    assert dataclasses.replace(FUSION["fusion"].config, geolink=None) == FUSION["any-view"].config


@pytest.mark.parametrize("name", sorted(GROUND))
def test_variants_on_panoramas_train(name: str, lab: Path, tmp_path: Path):
    """At the sizes of the claim: MixVPR takes as many tokens of a panorama as of a satellite picture, or it refuses."""
    config = dataclasses.replace(
        GROUND[name].config, steps=1, batch=4, held_out=4, validate_every=1, checkpoint_every=1, log_every=1, precision="32-true"
    )
    assert train(config, tmp_path / "run", root=lab, workers=1).results["steps"] == 1


@pytest.mark.parametrize("name", sorted(FUSION))
def test_fusions_variants_train(name: str, told: Path, tmp_path: Path):
    found = FUSION[name].config
    head = dataclasses.replace(SALAD, clusters=4) if isinstance(found.arch.head, SaladConfig) else MixVprConfig(channels=144, rows=4)
    arch = dataclasses.replace(found.arch, encoder="test_resnet", px=32, head=head)
    changed = {"arch": arch, "steps": 2, "batch": 4, "held_out": 4, "validate_every": 2, "checkpoint_every": 2, "log_every": 1}
    if found.ground is not None:
        changed["ground"] = dataclasses.replace(found.ground, hw=(32, 128))
    if isinstance(found.augment, PanoramaAugment):
        changed["data"] = dataclasses.replace(found.data, query_hw=(32, 128), satellite_px=32)  # type: ignore[type-var]
    config = dataclasses.replace(found, precision="32-true", **changed)  # type: ignore[arg-type]
    results = train(config, tmp_path / "run", root=told, workers=1, cloud_cache=told).results
    assert results["steps"] == 2
    assert ("ground_r1" in results["validation"]) is (found.ground is not None)


def test_all_variants_share_pictures_and_network_and_all_but_one_the_steps():
    base = GEOLINK["base"].config
    assert base.geolink is None
    for name, trial in GEOLINK.items():
        same = dataclasses.replace(trial.config, geolink=None, steps=base.steps)
        assert same == base
        assert (trial.config.steps > base.steps) is (name == "longer")


def tiny(trial: Trial, name: str) -> Trial:
    chosen = trial.config.geolink
    if chosen is not None and chosen.teacher_steps:
        chosen = dataclasses.replace(chosen, teacher_steps=2)
    arch = dataclasses.replace(trial.config.arch, encoder="test_resnet", px=32, head=MixVprConfig(channels=144, rows=4))
    changed = {"arch": arch, "steps": 2, "batch": 4, "held_out": 4, "validate_every": 2, "checkpoint_every": 2, "log_every": 1}
    return Trial(name, trial.about, dataclasses.replace(trial.config, geolink=chosen, precision="32-true", **changed))


def test_every_way_to_show_clouds_differs_from_all_in_the_3d_alone():
    first, base, *others = CLOUDS.values()
    assert (first, base) == (GEOLINK["all"], GEOLINK["base"])
    for trial in others:
        assert dataclasses.replace(trial.config, geolink=first.config.geolink) == first.config
        assert trial.config != first.config


@pytest.mark.parametrize("name", sorted({**CLOUDS, **GEOLINK}))
def test_geolinks_variants_train(name: str, lab: Path, tmp_path: Path):
    found = tiny({**CLOUDS, **GEOLINK}[name], name).config
    config = dataclasses.replace(found, augment=dataclasses.replace(found.augment, upright=False))
    results = train(config, tmp_path / "run", root=lab, workers=1, cloud_cache=lab).results
    assert results["steps"] == 2
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    terms = [one["terms"] for one in log if "terms" in one]
    wanted = {
        "intra": {"cross", "intra"},
        "contrast": {"cross", "points"},
        "gsr": {"cross", "points", "mi"},
        "uvrd": {"cross", "points", "relation"},
        "grid": {"cross", "relation", "predict"},
        "teacher": {"cross", "points", "relation"},
        "heights": {"cross", "heights"},
        "tokens": {"cross", "tokens"},
        "all": {"cross", "points", "intra", "mi", "relation"},
    }
    if name in CLOUDS and name not in GEOLINK:
        wanted |= {name.partition("-")[0]: wanted["all"]}
    if name == "predict":
        wanted["predict"] = wanted["all"] - {"mi"} | {"predict"}
    wanted["tokens-all"] = wanted["all"] | wanted["tokens"]
    if config.geolink is None:
        assert not terms
    else:
        asked = wanted.get(name) or wanted[name.partition("-")[0]]
        assert {one for one in terms[0] if one not in ("clouds", "spread", "fit")} == asked
