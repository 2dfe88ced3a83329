from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crossfix.errors import RunError
from crossfix.workers import worker_processes

HOST = """
from crossfix.workers import worker_processes
import os, time

if __name__ == "__main__":
    with worker_processes(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(600)
"""


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and that nobody has asked about yet does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text() if Path("/proc/self/stat").exists() else ") R"
    except (ProcessLookupError, FileNotFoundError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def test_a_worker_ends_with_the_process_that_started_it(tmp_path: Path):
    script = tmp_path / "host.py"
    script.write_text(HOST)
    host = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    worker = int(host.stdout.readline())
    assert alive(worker)
    host.send_signal(signal.SIGKILL)
    host.wait()
    host.stdout.close()
    end = time.monotonic() + 60
    while alive(worker) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(worker)


def test_a_killed_worker_is_one_sentence():
    with pytest.raises(RunError, match="a worker process: was killed; probably memory ran out"), worker_processes(1) as pool:
        pool.submit(os._exit, 9).result()


def test_each_begins_as_told():
    with worker_processes(1, os.putenv, "CROSSFIX_TOLD", "yes") as pool:
        assert pool.submit(os.system, 'test "$CROSSFIX_TOLD" = yes').result() == 0
