"""Files are whole or not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crossfix.disk import LATER, atomic, plain, write_bytes, write_json
from crossfix.errors import DiskError


def test_a_file_is_replaced_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.json"
    write_json(path, {"x": [1, 2]})
    write_json(path, {"x": 3})
    assert json.loads(path.read_text()) == {"x": 3}
    assert list(path.parent.iterdir()) == [path]


def test_what_fails_half_way_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    with pytest.raises(KeyboardInterrupt), atomic(path) as file:  # noqa: PT012
        file.write(b"ne")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_processes_that_write_one_file_leave_one_of_them_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with atomic(path) as mine:
        mine.write(b"mine " * 1000)
        code = "import sys; from pathlib import Path; from crossfix.disk import write_bytes; write_bytes(Path(sys.argv[1]), b'theirs')"
        subprocess.run([sys.executable, "-c", code, str(path)], check=True)
        assert path.read_bytes() == b"theirs"
    assert path.read_bytes() == b"mine " * 1000
    assert list(tmp_path.iterdir()) == [path]


def test_json_knows_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_what_the_system_refuses_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DiskError, match="cannot be written"):
        write_bytes(tmp_path / "file" / "a.bin", b"1")
    if os.geteuid() != 0:  # root may write anywhere
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(DiskError, match="cannot be written"):
            write_bytes(tmp_path / "closed" / "a.bin", b"1")


@dataclass(frozen=True)
class _Part:
    sides: tuple[float, float] = (0.5, 1.0)
    new: int = field(default=2, metadata=LATER)


@dataclass(frozen=True)
class _Whole:
    part: _Part = field(default_factory=_Part)
    more: dict[str, object] = field(default_factory=dict)
    late: _Part | None = field(default=None, metadata=LATER)


def test_a_config_is_plain_all_the_way_down_and_silent_on_what_came_later() -> None:
    assert plain(_Whole(more={"a": (1, _Part())})) == {"part": {"sides": [0.5, 1.0]}, "more": {"a": [1, {"sides": [0.5, 1.0]}]}}
    said = plain(_Whole(_Part(new=3), late=_Part(new=4)))
    assert said == {"part": {"sides": [0.5, 1.0], "new": 3}, "more": {}, "late": {"sides": [0.5, 1.0], "new": 4}}
    assert json.loads(json.dumps(said)) == said
