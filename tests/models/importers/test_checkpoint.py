import argparse
import hashlib
import os
import warnings

import pytest
import safetensors.torch
import torch

from crossfix.errors import ModelError
from crossfix.models.importers.checkpoint import read_checkpoint

TENSORS = {"a.weight": torch.arange(3000.0), "b": torch.ones(2, dtype=torch.float16)}


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "wrapped",
    [
        TENSORS,
        {"state_dict": TENSORS, "epoch": 3, "optimizer": {"lr": 0.1}},
        {"model": {f"module.{name}": t for name, t in TENSORS.items()}},
        {f"_orig_mod.module.{name}": t for name, t in TENSORS.items()},
    ],
)
def test_torch_files(tmp_path, wrapped, zipped):
    torch.save(wrapped, tmp_path / "x.bin", _use_new_zipfile_serialization=zipped)
    checkpoint = read_checkpoint(tmp_path / "x.bin")
    assert list(checkpoint.tensors) == list(TENSORS)
    assert all(torch.equal(checkpoint.tensors[name], TENSORS[name]) for name in TENSORS)
    assert checkpoint.sha256 == hashlib.sha256((tmp_path / "x.bin").read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["x.safetensors", "pytorch_model.bin"])
def test_safetensors_by_name_or_content(tmp_path, name):
    safetensors.torch.save_file(TENSORS, tmp_path / name)
    assert set(read_checkpoint(tmp_path / name).tensors) == set(TENSORS)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_refused_and_never_run(tmp_path, zipped):
    trap = tmp_path / "sprung"
    torch.save({**TENSORS, "x": Trap(trap)}, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match=r"holds more than tensors \((posix|nt)\.system\) and is not read"):
        read_checkpoint(tmp_path / "x.pth")
    assert not trap.exists()


def test_objects_are_refused_by_name(tmp_path):
    torch.save({"state_dict": TENSORS, "hyper_parameters": argparse.Namespace(a=1)}, tmp_path / "x.ckpt")
    with pytest.raises(ModelError, match=r"argparse\.Namespace.*save its state_dict alone"):
        read_checkpoint(tmp_path / "x.ckpt")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pth")
    with pytest.raises(ModelError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read_checkpoint(tmp_path / "whole.pth")


@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_cut_short(tmp_path, kept):
    torch.save(TENSORS, tmp_path / "zip.pth")
    torch.save(TENSORS, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(TENSORS, tmp_path / "x.safetensors")
    for path in list(tmp_path.iterdir()):
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * kept)])
        with pytest.raises(ModelError, match=r"cut short .*fetch it again"):
            read_checkpoint(path)


@pytest.mark.parametrize("data", [b"", b"hello <html>", b"\x00" * 100, bytes(range(256))])
def test_other_files(tmp_path, data):
    (tmp_path / "x.pth").write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ModelError, match="neither a torch checkpoint nor a safetensors file"):
            read_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("content", [{}, [torch.ones(1)], {"epoch": 3}, torch.ones(2), {"state_dict": {}}])
def test_no_named_tensors(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(ModelError, match="no named tensors"):
        read_checkpoint(tmp_path / "x.pth")


def test_paths(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        read_checkpoint(tmp_path / "x.pth")
    with pytest.raises(ModelError, match="give the file of weights in it"):
        read_checkpoint(tmp_path)
