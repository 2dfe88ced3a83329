from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from crossfix.errors import RunError
from crossfix.models.folder import load_model
from crossfix.models.gengeo import ArchConfig, SaladConfig
from crossfix.train.augment import AugmentConfig, ColourConfig, WarpConfig
from crossfix.train.config import OptimConfig, TrainConfig
from crossfix.train.loop import train
from crossfix.train.pairs import BankSource
from crossfix.train.prepare import Prepare
from crossfix.train.recipes import recipe
from crossfix.worlds.pairs import BankPlan, PairBank

HERE = Path(__file__).parent
TINY = TrainConfig(
    recipe="tiny-test",
    arch=ArchConfig("test_resnet", 48, SaladConfig(clusters=4, cluster_dim=8, token_dim=8, hidden=16, dropout=0.3), stride=8),
    data=BankPlan(("suburb", "farmland"), 40, 0, 48, 2, 2),
    steps=12,
    batch=6,
    accumulate=2,
    held_out=8,
    optim=OptimConfig(learning_rate=2e-3, warmup_steps=3),
    augment=AugmentConfig(curriculum_steps=6),
    ema=0.9,
    validate_every=5,
    checkpoint_every=2,
    log_every=1,
)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def records(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, bank) -> Path:
    run = tmp_path_factory.mktemp("run") / "finished"
    seen: list[tuple[int, int]] = []
    result = train(TINY, run, lambda done, total: seen.append((done, total)), bank=bank)
    assert seen == [(step, 12) for step in range(1, 13)]
    assert result.results == json.loads((run / "results.json").read_text())
    return run


def test_a_run_leaves_a_model_and_its_papers(finished: Path):
    model, card = load_model(finished)
    assert card.name == "tiny-test"
    assert card.seed == 0
    assert card.recipe["steps"] == 12
    results = json.loads((finished / "results.json").read_text())
    assert results["sha256"] == digest(finished / "model.safetensors") == card.sha256
    assert results["validation"]["places"] == 8
    assert results["validation"]["queries"] == 16
    assert model(torch.zeros(1, 3, 48, 48)).shape == (1, model.dim)
    environment = json.loads((finished / "environment.json").read_text())
    assert environment["threads"] >= 1
    assert environment["packages"]["torch"] == torch.__version__.split("+")[0]
    config = json.loads((finished / "config.json").read_text())
    assert config["optim"]["learning_rate"] == 2e-3
    assert config["arch"]["head"]["kind"] == "salad"


def test_the_log_has_every_step_and_validation(finished: Path):
    steps = [record for record in records(finished) if "loss" in record]
    assert [record["step"] for record in steps] == list(range(1, 13))
    assert all(0 < record["data_share"] < 1 and record["images_per_s"] > 0 for record in steps)
    assert [record["step"] for record in records(finished) if "validation" in record] == [5, 10, 12]


def test_a_finished_run_is_not_run_again(finished: Path, bank):
    before = digest(finished / "log.jsonl")
    train(TINY, finished, bank=bank)
    assert digest(finished / "log.jsonl") == before


@pytest.mark.parametrize(
    ("change", "field"),
    [({"seed": 1}, "seed"), ({"optim": OptimConfig(learning_rate=1e-3, warmup_steps=3)}, "optim.learning_rate"), ({"steps": 13}, "steps")],
)
def test_a_changed_config_is_refused(finished: Path, bank, change: dict, field: str):
    with pytest.raises(RunError, match=rf"another {field}: "):
        train(dataclasses.replace(TINY, **change), finished, bank=bank)


def test_upright_training_turns_north_to_within_45_degrees_of_up(bank):
    """Drone pictures of heading h show north at -h from up; after their quarter turns both views agree but for the rest of the heading."""
    heading = np.resize(np.array([0, 10, 80, 95, 170, 190, 265, 300, 359], np.float32), bank.truth["heading_deg"].shape)
    source = BankSource(PairBank(bank.satellite, bank.drone, bank.truth | {"heading_deg": heading}, bank.plan), 8, seed=0)
    config = dataclasses.replace(TINY, augment=dataclasses.replace(TINY.augment, upright=True))
    prepare = Prepare(config, source.satellite_margin, 8, torch.device("cpu"))
    batch = source.read(np.arange(12), 0)
    turns = prepare.turns(batch, 0)
    north_deg = batch.poses.heading_deg + torch.rad2deg(turns["drone"] - turns["satellite"])  # up to whole turns
    assert (((north_deg + 180) % 360 - 180).abs() <= 45 + 1e-3).all()
    assert len(set(torch.cat([prepare.turns(batch, n)["satellite"] for n in range(9)]).tolist())) == 4


def test_tokens_are_matched_only_where_asked(tmp_path: Path, bank):
    short = dataclasses.replace(TINY, steps=2, validate_every=2)
    losses = []
    for weight in (0.0, 2.0):
        run = tmp_path / str(weight)
        train(dataclasses.replace(short, tokens_weight=weight), run, bank=bank)
        losses.append(records(run)[0]["loss"])
    assert losses[1] > losses[0] + 1  # the same pictures and weights, and the term on top
    assert load_model(tmp_path / "2.0")[0].state_dict().keys() == load_model(tmp_path / "0.0")[0].state_dict().keys()


def test_another_bank_is_refused(finished: Path, bank):
    other = PairBank(bank.satellite, bank.drone, bank.truth, dataclasses.replace(bank.plan, seed=9))
    with pytest.raises(RunError, match=r"another data\.seed: 0 there, 9 now"):
        train(TINY, finished, bank=other)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path, bank):
    run = tmp_path / "run"
    train(dataclasses.replace(TINY, steps=2), run, bank=bank)
    (run / "results.json").unlink()
    next(run.glob("checkpoint-*.safetensors")).write_bytes(b"half")
    with pytest.raises(RunError, match="damaged"):
        train(dataclasses.replace(TINY, steps=2), run, bank=bank)


def test_a_loss_that_is_not_finite_names_the_step_and_its_pictures_and_keeps_the_last_good_checkpoint(tmp_path: Path, bank):
    optim = OptimConfig(learning_rate=1e38, warmup_steps=3, clip_norm=1e30)
    wild = dataclasses.replace(TINY, optim=optim, steps=6, checkpoint_every=1, validate_every=6)
    run = tmp_path / "run"
    with pytest.raises(RunError, match=r"step \d+ failed: .*; .*the last good checkpoint is kept"):
        train(wild, run, bank=bank)
    assert not (run / "results.json").exists()
    failed = json.loads((run / "failed.json").read_text())
    assert all(name.startswith("place ") for name in failed["pictures"])
    for path in run.glob("checkpoint-*.safetensors"):
        assert all(tensor.isfinite().all() for tensor in load_file(path).values())


def test_pictures_whose_descriptors_are_not_finite_are_named(tmp_path: Path, bank, monkeypatch: pytest.MonkeyPatch):
    def spoiled(self, tok_BND, cls_BD=None):
        desc_BD = torch.nn.functional.normalize(tok_BND.mean(1)[:, :4], dim=1).clone()
        desc_BD[3] = torch.nan
        return desc_BD

    monkeypatch.setattr("crossfix.models.salad.Salad.forward", spoiled)
    with pytest.raises(RunError, match=r"step 1 failed: .* rows \[3\] of the batch .*, of place \d+ \(day \d, view \d\), "):
        train(TINY, tmp_path / "run", bank=bank)
    failed = json.loads((tmp_path / "run/failed.json").read_text())
    assert failed["not_finite"] == [failed["pictures"][3]]
    assert len(failed["pictures"]) == TINY.batch


def test_gengeo_tiny_still_begins_as_it_did(tmp_path: Path, large_bank):
    """Its losses as they were before pairs could come from anywhere but banks: the same pictures, draws and network."""
    config = dataclasses.replace(recipe("gengeo-tiny-drone"), steps=3, batch=8, held_out=12, precision="32-true", log_every=1)
    train(config, tmp_path / "run", bank=large_bank)
    losses = [record["loss"] for record in records(tmp_path / "run") if "loss" in record]
    assert losses == pytest.approx([19.51044, 18.41562, 18.92874], abs=0.02)  # arithmetic differs from machine to machine


@pytest.mark.skipif(not hasattr(torch.cpu, "get_capabilities"), reason="this torch does not tell what a processor can do")
def test_a_processor_that_emulates_bfloat16_trains_in_float32(tmp_path: Path, bank, monkeypatch: pytest.MonkeyPatch):
    short = dataclasses.replace(TINY, steps=2, validate_every=2)
    plain = train(dataclasses.replace(short, precision="32-true"), tmp_path / "plain", bank=bank).results
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    asked = train(short, tmp_path / "asked", bank=bank).results
    assert asked["precision"] == plain["precision"] == "32-true"
    assert asked["sha256"] == plain["sha256"]
    assert json.loads((tmp_path / "asked/config.json").read_text())["precision"] == "bf16-mixed", "it may go on where there is hardware"


def test_training_learns(tmp_path: Path, bank):
    easy = AugmentConfig(satellite=WarpConfig(shift=0.05), drone=WarpConfig(), colour=ColourConfig(*(0.0,) * 11), mirror=False)
    config = dataclasses.replace(TINY, steps=60, accumulate=1, batch=16, ema=0.0, validate_every=60, checkpoint_every=60, augment=easy)
    train(dataclasses.replace(config, optim=OptimConfig(learning_rate=5e-3, warmup_steps=5)), tmp_path / "run", bank=bank)
    losses = [record["loss"] for record in records(tmp_path / "run") if "loss" in record]
    assert sum(losses[-5:]) / 5 < sum(losses[:5]) / 5 - 0.3


SCRIPT = """
import importlib.util, json, os, signal, sys, torch
from pathlib import Path
torch.set_num_threads(1)
def load(name):
    spec = importlib.util.spec_from_file_location(name, Path({here!r}) / f"{{name}}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
import crossfix.train.checkpoint as checkpoint
from crossfix.train.loop import train
write_json = checkpoint.write_json
def go(bank, where, step):
    def kill_at(record):
        if where == "log" and record["step"] == step:
            os.kill(os.getpid(), signal.SIGKILL)
    def kill_between_tensors_and_record(path, value):
        if where == "checkpoint" and value["step"] == step:
            os.kill(os.getpid(), signal.SIGKILL)
        write_json(path, value)
    checkpoint.write_json = kill_between_tensors_and_record
    train(load("test_loop").TINY, Path(sys.argv[1]), bank=bank, log=kill_at)
bank = load("conftest").make_bank()
for where, step in (("log", 5), ("checkpoint", 8)):  # a step after a checkpoint; between a checkpoint's two files
    child = os.fork()  # importing torch takes longer than all of the training
    if not child:
        go(bank, where, step)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert json.loads((Path(sys.argv[1]) / "checkpoint.json").read_text())["step"] < step
go(bank, "", 0)
"""


def timeless(run: Path) -> list[dict]:
    return [
        {name: value for name, value in record.items() if name not in ("seconds", "images_per_s", "data_share")} for record in records(run)
    ]


def test_killed_and_started_again_the_same_weights_bit_for_bit(finished: Path, tmp_path: Path):
    run = tmp_path / "killed"
    command = [sys.executable, "-c", SCRIPT.format(here=str(HERE)), str(run)]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert digest(run / "model.safetensors") == digest(finished / "model.safetensors")
    assert timeless(run) == timeless(finished)
    assert len(list(run.glob("checkpoint-*"))) == 1, "only the last is kept"
