"""Training on data sets, each a small world written in the set's own layout."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from crossfix.data.registry import open_dataset
from crossfix.errors import DataError, InputError, RunError
from crossfix.evaluate.task import evaluate_dataset
from crossfix.models.folder import load_model
from crossfix.models.registry import load
from crossfix.train.config import SetData, TrainConfig
from crossfix.train.loop import train
from crossfix.train.overrides import overridden
from crossfix.train.recipes import RECIPES, recipe
from crossfix.worlds.sets.plan import SetPlan, write_set
from crossfix.worlds.sets.registry import writer
from world_clouds import build_world_clouds

PLACES = {"university1652": 3, "sues200": 3, "cvusa": 6}
ON_SETS = sorted(name for name in RECIPES if isinstance(recipe(name).data, SetData))
TESTS = {"train": "test", "train-300": "test-300", "train-same": "test-same", "train-cross": "test-cross"}


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory):
    """Writes a data set when it is first asked for."""
    roots: dict[str, Path] = {}

    def root(name: str) -> Path:
        if name not in roots:
            folder = tmp_path_factory.mktemp("sets") / name
            plan = SetPlan(PLACES.get(name, 4), seed=3, regions=("farmland",), scale=0.05)
            roots[name] = write_set(writer(name, folder, plan), workers=1)
            for config in map(recipe, ON_SETS):
                if config.geolink is not None and isinstance(config.data, SetData) and config.data.name == name:
                    build_world_clouds(roots[name], name, config.data.split)
        return roots[name]

    return root


def small(name: str, **changes: object) -> TrainConfig:
    """A recipe with a tiny encoder, on tiny pictures."""
    config = recipe(name)
    encoder, px = ("test_vit", 160) if config.arch.stride is None else ("test_convnext/8", 96)
    config = overridden(config, steps=2, batch=2, px=px, encoder=encoder, held_out=1)
    return dataclasses.replace(config, precision="32-true", log_every=1, **changes)  # type: ignore[arg-type]


def losses(run: Path) -> list[float]:
    return [record["loss"] for record in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if "loss" in record]


@pytest.mark.parametrize("name", ON_SETS)
def test_recipes_run_from_pictures_to_scores(name: str, written, tmp_path: Path):
    config = small(name)
    assert isinstance(config.data, SetData)
    root = written(config.data.name)
    results = train(config, tmp_path / "run", root=root, workers=1).results
    assert results["steps"] == 2
    describer = load(tmp_path / "run", precision="float32")
    preprocessing = describer.card.preprocessing
    assert preprocessing.ground_hw == (config.data.query_hw if config.data.panoramas else None)
    assert preprocessing.ground_fit == config.data.ground_fit
    scores = evaluate_dataset(describer, open_dataset(config.data.name, root), TESTS[config.data.split], config.data.direction)
    assert 0 <= scores["strict"]["R@1"] <= 1
    if config.geolink is not None:
        assert results["clouds"]["places_without_cloud"] == 0
        assert not any("points" in key or "club" in key for key in load_model(tmp_path / "run")[0].state_dict())
    assert scores["queries"] >= 3


def test_mining_and_resuming_end_with_the_same_weights(written, tmp_path: Path):
    """Two batches an epoch, neighbours mined at every second epoch; stopped before a mining and in the middle of the epoch after it."""
    neighbours = dataclasses.replace(recipe("gengeo-cvusa").neighbours, mine_every=2)  # type: ignore[type-var]
    config = small("gengeo-cvusa", neighbours=neighbours, checkpoint_every=1)
    config = overridden(config, steps=8)
    root = written("cvusa")

    def digest(run: Path) -> str:
        return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()

    train(config, tmp_path / "whole", root=root, workers=1)
    assert (tmp_path / "whole" / "neighbours-0002.npy").is_file()

    def stop(record: dict) -> None:
        if record["step"] in (4, 6) and record["step"] not in stopped:
            stopped.add(record["step"])
            raise KeyboardInterrupt

    stopped: set[int] = set()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "parts", root=root, workers=2, memory_gb=0.1, log=stop)
    train(config, tmp_path / "parts", root=root, workers=2, memory_gb=0.1, log=stop)
    assert digest(tmp_path / "parts") == digest(tmp_path / "whole"), "threads, memory and restarts decide nothing"
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")


def test_free_headings_and_fields_of_view_train(written, tmp_path: Path):
    config = small("gengeo-cvusa")
    free = dataclasses.replace(config.augment, heading="free", fov_deg=(300.0, 360.0))  # type: ignore[type-var]
    run = tmp_path / "run"
    train(dataclasses.replace(config, augment=free, recompute=True), run, root=written("cvusa"), workers=1)
    assert len(losses(run)) == 2


def test_keeping_the_activations_of_one_pair_at_a_time_trains_alike(written, tmp_path: Path):
    config = dataclasses.replace(small("cvcities-cvusa"), accumulate=2, neighbours=None)
    for cached in (0, 1):
        train(dataclasses.replace(config, cached=cached), tmp_path / str(cached), root=written("cvusa"), workers=1)
    assert losses(tmp_path / "1") == pytest.approx(losses(tmp_path / "0"), abs=1e-4)
    with pytest.raises(InputError, match="gradient caching"):
        dataclasses.replace(recipe("gengeo-tiny-drone"), cached=8)


def test_a_copy_elsewhere_goes_on_and_another_set_is_refused(written, tmp_path: Path):
    config, root, run = small("gengeo-cvusa"), written("cvusa"), tmp_path / "run"
    train(config, run, root=root, workers=1)
    stored = json.loads((run / "config.json").read_text())
    assert stored["data"]["fingerprint"]
    assert str(root) not in json.dumps(stored)
    elsewhere = tmp_path / "moved"
    elsewhere.symlink_to(root)
    assert train(config, run, root=elsewhere).results["steps"] == 2
    other = write_set(writer("cvusa", tmp_path / "other", SetPlan(3, 3, ("farmland",), scale=0.05, halves=("train",))), workers=1)
    with pytest.raises(RunError, match=r"another data\.fingerprint"):
        train(config, run, root=other)


def test_epochs_are_resolved_into_steps(written, tmp_path: Path):
    config = dataclasses.replace(small("gengeo-cvusa"), epochs=3, neighbours=None)
    assert train(config, tmp_path / "run", root=written("cvusa"), workers=1).results["steps"] == 6
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (stored["steps"], stored["epochs"]) == (6, 3)


def test_what_is_missing_is_said_at_once(written, tmp_path: Path, bank):
    config = small("gengeo-cvusa")
    with pytest.raises(InputError, match="--data cvusa:ROOT"):
        train(config, tmp_path / "run")
    with pytest.raises(InputError, match="leave --bank out"):
        train(config, tmp_path / "run", bank=bank, root=written("cvusa"))
    with pytest.raises(InputError, match="leave --data out"):
        train(recipe("gengeo-tiny-drone"), tmp_path / "run", root=written("cvusa"))
    with pytest.raises(DataError, match="500 places are to be held out of 6"):
        train(recipe("gengeo-cvusa"), tmp_path / "run", root=written("cvusa"))
    assert not (tmp_path / "run").exists()


def test_a_picture_that_cannot_be_read_stops_the_run_and_is_named(tmp_path: Path):
    root = write_set(writer("cvusa", tmp_path / "set", SetPlan(3, 3, ("farmland",), scale=0.05, halves=("train",))), workers=1)
    for path in (root / "bingmap/19").iterdir():
        path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match=r"bingmap/19/\d+\.jpg: .*"):
        train(small("gengeo-cvusa"), tmp_path / "run", root=root, workers=1)
