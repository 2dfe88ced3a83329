from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossfix.disk import write_json
from crossfix.errors import DiskError, RunError
from crossfix.train.files import read_json
from crossfix.train.folder import RunFolder, environment


def test_the_log_is_cut_where_the_run_goes_on(tmp_path: Path):
    folder = RunFolder(tmp_path / "run", {"a": 1})
    for step in range(1, 6):
        folder.log({"step": step})
    with (tmp_path / "run/log.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')  # killed while writing
    folder.cut_log(3)
    assert [json.loads(line)["step"] for line in (tmp_path / "run/log.jsonl").read_text().splitlines()] == [1, 2, 3]
    folder.log({"step": 4})
    assert (tmp_path / "run/log.jsonl").read_text().endswith('{"step": 4}\n')


def test_a_changed_config_names_the_field_and_both_values(tmp_path: Path):
    RunFolder(tmp_path, {"a": {"b": 1}}).log({"step": 1})
    RunFolder(tmp_path, {"a": {"b": 1}})
    with pytest.raises(RunError, match=r"another a\.b: 1 there, 2 now; choose another folder"):
        RunFolder(tmp_path, {"a": {"b": 2}})
    with pytest.raises(RunError, match=r"another c: nothing there, 3 now"):
        RunFolder(tmp_path, {"a": {"b": 1}, "c": 3})


def test_a_run_that_was_refused_before_its_first_step_binds_nobody(tmp_path: Path):
    RunFolder(tmp_path, {"a": 1})
    (tmp_path / "bank").mkdir()
    (tmp_path / "clouds-0123456789ab.safetensors").write_bytes(b"")
    RunFolder(tmp_path, {"a": 2}).log({"step": 1})
    assert read_json(tmp_path / "config.json") == {"a": 2}
    with pytest.raises(RunError, match="another a: 2 there, 3 now"):
        RunFolder(tmp_path, {"a": 3})


def test_a_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match=r"cannot be written \(Not a directory\); choose another place, or mend this one"):
        RunFolder(tmp_path / "file" / "run", {})


def test_json_is_whole_or_refused(tmp_path: Path):
    write_json(tmp_path / "a.json", {"x": [1, 2]})
    assert read_json(tmp_path / "a.json") == {"x": [1, 2]}
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert read_json(tmp_path / "a.json") == {"x": [1, 2]}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    (tmp_path / "a.json").write_text("[1")
    with pytest.raises(RunError, match="cannot be read"):
        read_json(tmp_path / "a.json")


def test_the_environment_says_what_the_weights_depend_on():
    found = environment()
    assert {"crossfix", "commit", "python", "cpu", "threads", "packages", "gpu"} <= set(found)
    json.dumps(found, allow_nan=False)
