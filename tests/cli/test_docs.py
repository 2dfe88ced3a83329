"""What README and docs tell users to type is there: verbs, their commands, and every option."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from crossfix.cli.app import VERBS, load_verb
from crossfix.train.recipes import RECIPES

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
TYPED = re.compile(r"\bcrossfix ([a-z]+(?:[^\n`#|]|\\\n)*)")


def wrong(words: list[str]) -> list[str]:
    """The words of a command, without the program's name, that the program does not know."""
    command: Any = load_verb(words[0])
    if hasattr(command, "commands"):
        if len(words) > 1 and words[1] not in command.commands:
            return [words[1]]
        command = command.commands[words[1]] if len(words) > 1 else command
    known = {"--help"} | {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options = [word.strip("[]").split("=")[0] for word in words if word.strip("[]").startswith("-")]
    return [option for option in options if option not in known]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_told_of_is_there(page: Path):
    typed = [match.group(1).split() for match in TYPED.finditer(page.read_text(encoding="utf-8"))]
    # elsewhere the name stands in a sentence
    typed = [words for words in typed if words[0] in VERBS]
    assert [(" ".join(words), unknown) for words in typed if (unknown := wrong(words))] == []
    recipes = {words[1] for words in typed if words[0] == "train" and len(words) > 1 and not words[1].isupper()}
    assert recipes <= set(RECIPES)


def test_what_is_not_there_is_noticed():
    assert wrong(["lab", "make", "lab", "--small"]) == []
    assert wrong(["lab", "make", "lab", "--tiny"]) == ["--tiny"]
    assert wrong(["lab", "build"]) == ["build"]
    assert wrong(["evaluate", "--data", "X", "[--split", "S]", "-o", "DIR"]) == []
