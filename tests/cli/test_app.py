"""The command as a whole: verbs, help, versions, and how it ends when something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import crossfix
from crossfix.cli import app as application
from crossfix.cli.app import VERBS, load_verb, main
from crossfix.cli.progress import bar
from crossfix.errors import DiskError

HEAVY = ("torch", "timm", "rasterio", "cv2", "pyproj", "pyarrow", "scipy", "numpy", "embreex")


def test_help_lists_every_verb_and_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom crossfix.cli import main\ncode = main(['--help'])\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\nprint('heavy:', heavy, 'code:', code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert "heavy: [] code: 0" in done.stdout
    for verb in VERBS:
        assert f" {verb} " in done.stdout
    assert not done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_module_help_and_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert load_verb(verb).name == verb
    assert main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    commands = getattr(load_verb(verb), "commands", None)
    if commands is None:
        assert "Example" in text
    else:
        for name in commands:
            assert main([verb, name, "--help"]) == 0
            assert "Example" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"crossfix {crossfix.__version__}\n"


def test_the_installed_command_answers() -> None:
    command = Path(sys.executable).parent / "crossfix"
    done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("crossfix ")


@pytest.mark.parametrize(
    "words", [["nonsense"], ["--nonsense"], ["world", "nonsense"], ["world", "map"], ["world", "map", "-o", "x", "--seed", "x"]]
)
def test_wrong_usage_ends_with_2_and_no_traceback(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    told = capsys.readouterr()
    assert "Usage" in told.err
    assert "Traceback" not in told.err
    assert not told.out


def test_a_near_miss_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["locat"]) == 2
    assert "locate" in capsys.readouterr().err


def test_an_error_of_ours_is_one_sentence_and_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["world", "map", "-o", str(tmp_path / "map.tif"), "--region", "atlantis"]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert told.err.startswith("crossfix: ")
    assert "atlantis" in told.err
    assert not told.out


def ending_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    verb = typer.Typer()

    @verb.command()
    def run() -> None:
        raise error

    monkeypatch.setattr(application, "load_verb", lambda name: typer.main.get_command(verb))
    return main(["map"])


def test_errors_interrupts_and_bugs_end_as_they_should(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ending_with(DiskError("is full", where="/x [bold]", mend="free some space"), monkeypatch) == 2
    assert capsys.readouterr().err == "crossfix: /x [bold]: is full; free some space\n"
    assert ending_with(KeyboardInterrupt(), monkeypatch) == 130
    assert "Traceback" not in capsys.readouterr().err
    assert ending_with(typer.Exit(1), monkeypatch) == 1
    with pytest.raises(ZeroDivisionError):
        ending_with(ZeroDivisionError(), monkeypatch)


def test_a_reader_that_leaves_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "crossfix", "--help"], stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    finally:
        os.close(write)
    assert done.returncode in (1, 141)
    assert not done.stderr


def test_progress_without_a_terminal_is_one_line_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("Counting") as report:
        report(1, 3)
        assert not capsys.readouterr().err
        report(3, 3)
    told = capsys.readouterr()
    assert told.err.startswith("Counting: 3 of 3 in ")
    assert told.err.count("\n") == 1
    assert not told.out


def test_progress_can_be_silent_and_says_nothing_of_work_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("Counting", quiet=True) as report:
        report(3, 3)
    with pytest.raises(ValueError, match="stop"), bar("Counting") as report:
        raise ValueError("stop")
    assert not capsys.readouterr().err


def test_threads_sleep_soon_unless_the_user_has_said_how_they_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert main(["--version"]) == 0
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    assert main(["--version"]) == 0
    assert os.environ["GOMP_SPINCOUNT"] == "10000"
