"""Reading foreign checkpoints: named tensors out of a torch or safetensors file, and nothing that could run."""

from __future__ import annotations

import hashlib
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError

from crossfix.errors import ModelError

_NESTED = ("state_dict", "model_state_dict", "model", "teacher")  # where trainers put the weights beside their own state
_WRAPPERS = ("module.", "_orig_mod.")  # DataParallel, torch.compile
_TORCH_STARTS = (b"PK", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")  # zip since torch 1.6, and the format before
_SAFE = "give a file of tensors only: where you trust this one, save its state_dict alone with torch.save or safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """What a foreign file holds.

    Attributes:
        path: the file.
        sha256: of its bytes.
        tensors: by the file's own names, without wrappers such as `module.`; on the CPU.
    """

    path: Path
    sha256: str
    tensors: Mapping[str, torch.Tensor]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read the tensors of a checkpoint.

    Pickled files are read with torch's restricted reader, which makes tensors and plain containers and refuses everything else.

    Args:
        path: a file of `torch.save` (any extension, both of its formats) or of safetensors.

    Raises:
        ModelError: if it is missing, damaged, of another kind, or holds code or objects besides tensors.
    """
    path = Path(path)
    if path.is_dir():
        raise ModelError("a folder, not a checkpoint", where=path, mend="give the file of weights in it")
    try:
        with path.open("rb") as file:
            start = file.read(20)
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise ModelError("no such file", where=path) from error
    except OSError as error:
        raise ModelError(f"cannot be read ({error.strerror})", where=path) from error
    if start[8:9] == b"{" or path.suffix == ".safetensors":
        tensors = _safetensors(path)
    else:
        tensors = _plain(_unpickled(path, start), path)
    return Checkpoint(path, sha256, {_unwrapped(name): tensor for name, tensor in tensors.items()})


def _safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        tensors: dict[str, torch.Tensor] = safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"no whole safetensors file ({error}): cut short or of another kind", where=path, mend="fetch it again") from error
    return tensors


def _unpickled(path: Path, start: bytes) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unusual pickle protocols; what matters is raised
            loaded: object = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # damaged files raise anything from KeyError to OSError
        if found := re.search(r"GLOBAL (\S+)", str(error)):
            raise ModelError(
                f"it holds more than tensors ({found[1]}) and is not read, because reading that can run code", where=path, mend=_SAFE
            ) from error
        if start.startswith(_TORCH_STARTS):
            raise ModelError("a torch checkpoint that is cut short or damaged", where=path, mend="fetch it again") from error
        raise ModelError(
            "neither a torch checkpoint nor a safetensors file", where=path, mend="give the file of weights as it was published"
        ) from error
    return loaded


def _plain(loaded: object, path: Path) -> dict[str, torch.Tensor]:
    if isinstance(loaded, Mapping):
        for name in _NESTED:
            if isinstance(loaded.get(name), Mapping):
                return _plain(loaded[name], path)
        tensors = {name: value for name, value in loaded.items() if isinstance(name, str) and isinstance(value, torch.Tensor)}
        if tensors:
            return tensors
    raise ModelError("it holds no named tensors", where=path, mend=_SAFE)


def _unwrapped(name: str) -> str:
    while name.startswith(_WRAPPERS):
        name = name.partition(".")[2]
    return name
