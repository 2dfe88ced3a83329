from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from crossfix.errors import InputError
from crossfix.train.gather import gather, mean_gradients_, processes, share
from train import two_processes


def start(rank, count, folder):
    paths = os.pathsep.join(path for path in (os.environ.get("PYTHONPATH"), str(Path(__file__).parents[2] / "src")) if path)
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, two_processes.__file__, str(rank), str(count), str(folder)], env=environment, stderr=subprocess.PIPE
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What two processes found."""
    folder = tmp_path_factory.mktemp("processes")
    runs = [start(rank, 2, folder) for rank in (0, 1)]
    try:
        for run in runs:
            _, said = run.communicate(timeout=120)
            assert run.returncode == 0, said.decode()
    finally:
        for run in runs:
            run.kill()
    return folder


@pytest.fixture(scope="module")
def alone():
    """What a single process finds, for itself."""
    return two_processes.step(0, 1, cached=False)


def load(path):
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize("way", ["plain", "cached"])
def test_two_processes_find_loss_and_gradients_of_one(folder, alone, way):
    assert np.abs(alone["0"]).max() > 1e-3
    for rank in (0, 1):
        found = load(folder / f"{way}{rank}.npz")
        for name in alone:
            np.testing.assert_allclose(found[name], alone[name], rtol=0, atol=1e-6, err_msg=f"{name} of process {rank}")


def test_a_gradient_that_only_one_process_has_is_averaged_with_zero(folder, alone):
    for rank in (0, 1):
        assert (load(folder / f"plain{rank}.npz")["unused"] == 0.5).all()
    assert "unused" not in alone


def test_whole_numbers_come_in_the_order_of_the_processes(folder):
    for rank in (0, 1):
        assert load(folder / f"other{rank}.npz")["numbers"].tolist() == [[0, 7], [1, 7]]


def test_batches_of_different_sizes_are_refused_by_every_process(folder):
    for rank in (0, 1):
        assert "the processes hold batches of shapes (3, 2) and (4, 2)" in str(load(folder / f"other{rank}.npz")["said"])


def test_alone_nothing_is_gathered():
    assert processes() == 1
    desc = torch.ones(3, 2, requires_grad=True)
    assert gather(desc) is desc
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.grad = torch.full((2,), 3.0)
    mean_gradients_([parameter])
    assert parameter.grad.tolist() == [3.0, 3.0]


def test_shares_put_side_by_side_are_the_batch():
    rows = np.arange(12)
    assert np.concatenate([share(rows, rank, 3) for rank in range(3)]).tolist() == rows.tolist()
    with pytest.raises(InputError, match="a batch of 12 cannot be shared among 5 processes"):
        share(rows, 0, 5)
