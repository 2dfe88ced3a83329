"""Freed memory is kept: a process that frees and takes the same blocks again and again meets next to no page faults."""

import os
import platform
import subprocess
import sys

import pytest

from crossfix.train.memory import keep_freed_memory

_SCRIPT = """
import resource, sys
import torch
from crossfix.train.memory import keep_freed_memory
told = keep_freed_memory() if sys.argv[1] == "keep" else None
def step():
    blocks = [torch.ones(12_000_000) for _ in range(4)]  # 48 MB each
for _ in range(6):  # until as much is kept as is needed
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(told, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc hands freed memory back at once")


def _faults(keep: str, **more: str) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, keep], capture_output=True, text=True, check=True, env=_ENVIRONMENT | more, timeout=120
    )
    told, faults = done.stdout.split()
    return told, int(faults)


@glibc
def test_blocks_that_are_freed_and_taken_again_bring_no_page_faults():
    told, kept = _faults("keep")
    _, handed_back = _faults("no")
    assert told == "True"
    assert handed_back > 5 * 4 * 1000  # pages may be larger than 4 KiB, so not all 234,000
    assert kept < handed_back / 20


@glibc
def test_what_the_user_chose_stays():
    told, _ = _faults("keep", MALLOC_TRIM_THRESHOLD_="131072")
    assert told == "False"


def test_other_allocators_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
