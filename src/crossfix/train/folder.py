"""The run folder: resolved config, environment, JSON-lines log. A changed config refuses to reuse it, once something came of it.

``config.json``, ``environment.json`` and ``log.jsonl`` are there from the first step on, ``checkpoint.json`` with its weights after the
first checkpoint, ``results.json`` and the model (``model.safetensors``, ``card.json``) at the end.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from crossfix import __version__
from crossfix.disk import disk, write_bytes, write_json
from crossfix.errors import RunError
from crossfix.train.config import first_difference
from crossfix.train.files import read_json

_PACKAGES = ("torch", "torchvision", "timm", "numpy", "lightning-fabric", "safetensors", "opencv-python-headless")


class RunFolder:
    """A run's folder, made or reused.

    Args:
        path: the folder; made where it is missing.
        config: the resolved config as JSON values.

    Raises:
        RunError: where the folder holds a run of another config, of which something came (naming the first field that differs).
        DiskError: where it cannot be written.
    """

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path = path
        config_path = path / "config.json"
        if config_path.exists():
            old = read_json(config_path)
            field = first_difference(old, config)
            if field is not None and not self._untouched:
                raise RunError(
                    f"the folder holds a run with another {field}: {_look_up(old, field)} there, {_look_up(config, field)} now",
                    where=path,
                    mend="choose another folder, or give the same options to go on",
                )
            if field is None:
                return
        write_json(config_path, config)
        write_json(path / "environment.json", environment())

    @property
    def _untouched(self) -> bool:
        """Whether nothing came of the config: a run that was refused before its first step binds nobody.

        Banks and sampled clouds are no results: the first say their own plan, the second are named by what they were made of.
        """
        names = {file.name for file in self.path.iterdir() if not file.name.startswith("clouds-")}
        return names <= {"config.json", "environment.json", "bank"}

    @property
    def results(self) -> dict[str, Any] | None:
        """What the finished run wrote, or None where it has not finished."""
        path = self.path / "results.json"
        return read_json(path) if path.exists() else None

    def log(self, record: dict[str, Any]) -> None:
        """Append a line to the log.

        Raises:
            DiskError: where it cannot be written.
        """
        path = self.path / "log.jsonl"
        with disk(path), path.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def read_log(self) -> list[dict[str, Any]]:
        """The log's records."""
        path = self.path / "log.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def cut_log(self, step: int) -> None:
        """Drop the log's lines after a step, and a half-written last one: the run goes on from there and will write them again."""
        path = self.path / "log.jsonl"
        if not path.exists():
            return
        kept = []
        for line in path.read_text().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                break
            if record["step"] <= step:
                kept.append(line)
        write_bytes(path, "".join(f"{line}\n" for line in kept).encode())


def environment() -> dict[str, Any]:
    """What the weights depend on beside the config: versions, processor, threads, and the commit where the package runs from a clone."""
    return {
        "crossfix": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: metadata.version(name) for name in _PACKAGES},
    }


def _commit() -> str | None:
    here = Path(__file__).parent
    try:
        top = subprocess.run(["git", "ls-files", "--error-unmatch", __file__], cwd=here, capture_output=True, timeout=10)
        if top.returncode != 0:
            return None  # installed from a wheel that lies inside somebody else's repository
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _cpu() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor() or None)


def _look_up(config: dict[str, Any], dotted: str) -> str:
    value: Any = config
    for key in dotted.split("."):
        if not isinstance(value, dict) or key not in value:
            return "nothing"
        value = value[key]
    return json.dumps(value)
