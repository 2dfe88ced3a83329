from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from crossfix.errors import InputError
from crossfix.train.processes import Process, joined
from crossfix.worlds.sets.plan import SetPlan, write_set
from crossfix.worlds.sets.registry import writer

SCRIPT = """
import dataclasses, os, signal, socket, sys, traceback, torch
from pathlib import Path
torch.set_num_threads(1)
import crossfix.train.loop as loop
from crossfix.train.overrides import overridden
from crossfix.train.recipes import recipe
from crossfix.train.samplers import Neighbourhood

root = Path(sys.argv[1])
config = overridden(recipe("gengeo-cvusa"), steps=5, batch=4, px=160, encoder="test_vit", held_out=2)
salad = dataclasses.replace(config.arch.head, dropout=0.0)
config = dataclasses.replace(
    config, precision="32-true", log_every=1, checkpoint_every=1, neighbours=Neighbourhood(mine_every=1),
    arch=dataclasses.replace(config.arch, head=salad),
)
save = loop._Trainer._save

def go(run, stop):
    def save_and_stop(self):
        save(self)
        if self.progress.step == stop:
            os._exit(3)
    loop._Trainer._save = save_and_stop
    loop.train(config, run, root=root, workers=1)

def start(run, count, stop=0):  # as torchrun would, but importing torch once
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ |= {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    children = []
    for rank in range(count):
        child = os.fork()
        if not child:
            signal.alarm(120)
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            try:
                go(Path(run), stop)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [3 if stop else 0] * count, codes

one, two = sys.argv[2:]
start(one, 1)
start(two, 1, stop=1)
start(two, 2)
"""


def log(run: Path) -> list[dict]:
    keep = ("step", "loss", "grad_norm", "validation")
    return [{k: r[k] for k in keep if k in r} for r in map(json.loads, (run / "log.jsonl").read_text().splitlines())]


def test_two_processes_go_on_where_one_stopped_and_end_as_one_does(tmp_path: Path):
    """With minings, panoramas of their own size, and batches that the processes share."""
    root = write_set(writer("cvusa", tmp_path / "set", SetPlan(10, 3, ("farmland",), scale=0.05, halves=("train",))), workers=1)
    command = [sys.executable, "-c", SCRIPT, str(root), str(tmp_path / "one"), str(tmp_path / "two")]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    want, found = log(tmp_path / "one"), log(tmp_path / "two")
    assert len(found) == len(want) == 6
    for one, other in zip(want, found, strict=True):
        assert other == (pytest.approx(one, abs=2e-3) if "loss" in one else one)
    weights = load_file(tmp_path / "one/model.safetensors")
    for name, tensor in load_file(tmp_path / "two/model.safetensors").items():
        torch.testing.assert_close(tensor, weights[name], atol=1e-4, rtol=1e-3)


def test_a_process_alone_has_all_of_the_batch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as process:
        assert process == Process(0, 1, 0)
        assert process.part(6) == (0, 6)
        with process.first_alone():
            pass
    assert Process(2, 3).part(6) == (4, 2)
    with pytest.raises(InputError, match="cannot be shared among 4 processes"):
        Process(0, 4).part(6)
