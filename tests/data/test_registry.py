from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crossfix.data.cvact import Cvact
from crossfix.data.cvusa import Cvusa
from crossfix.data.dataset import DIRECTIONS
from crossfix.data.registry import DATASETS, card, open_dataset, parse
from crossfix.data.vigor import Vigor
from crossfix.errors import DataError, InputError
from data import trees

NAMES = ["cvusa", "cvact", "vigor", "university1652", "sues200", "denseuav", "gtauav", "uavvisloc", "worlds-v1", "folder"]


def test_the_data_sets_have_names():
    assert list(DATASETS) == NAMES
    assert (DATASETS["cvusa"], DATASETS["cvact"], DATASETS["vigor"]) == (Cvusa, Cvact, Vigor)
    assert "cvusa" in DATASETS
    assert "imagenet" not in DATASETS


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_is_what_the_registry_says(name: str):
    dataset = DATASETS[name](Path("nowhere"))
    assert dataset.name == name
    assert dataset.root == Path("nowhere")
    assert dataset.splits
    assert set(dataset.directions) <= set(DIRECTIONS)


@pytest.mark.parametrize("name", NAMES)
def test_every_card_says_source_counts_licence_resolution_and_faults(name: str):
    text = card(name)
    words = " ".join(text.lower().split())
    assert [word for word in ("Source", "Counts", "icence", "Ground resolution", "Known faults") if word.lower() not in words] == []
    assert max(map(len, text.splitlines())) <= 140


def test_asking_for_one_imports_no_other():
    code = "import sys; from crossfix.data.registry import DATASETS; DATASETS['cvusa'], 'cvact' in DATASETS"
    code += "; print('crossfix.data.cvact' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_copy_is_opened(tmp_path: Path):
    dataset = open_dataset("cvusa", str(trees.cvusa_tree(tmp_path)))
    assert isinstance(dataset, Cvusa)
    assert len(dataset.task("test", "g2s").query) == 2


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"nowhere: there is no such folder; give the folder that holds vigor"):
        open_dataset("vigor", tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["", "CVUSA", "imagenet", "cvusa "])
@pytest.mark.parametrize(
    "call", [lambda name: open_dataset(name, "."), card, lambda name: parse(f"{name}:x")], ids=["open", "card", "parse"]
)
def test_unknown_names_are_refused_with_those_there_are(call: Callable[[str], object], name: str):
    with pytest.raises(InputError, match=r"no data set of this name.*cvusa, cvact, vigor, university1652"):
        call(name)


def test_a_near_miss_is_told():
    with pytest.raises(InputError, match=r"did you mean university1652\?"):
        card("university-1652")


def test_name_and_root_are_read_from_one_word(monkeypatch: pytest.MonkeyPatch):
    assert parse("vigor:some/folder") == ("vigor", Path("some/folder"))
    assert parse("vigor:C:/data") == ("vigor", Path("C:/data"))
    monkeypatch.setenv("HOME", "/home/someone")
    assert parse("cvact:~/CVACT") == ("cvact", Path("/home/someone/CVACT"))


@pytest.mark.parametrize("text", ["cvusa", "cvusa:", ""])
def test_a_word_without_both_is_refused(text: str):
    with pytest.raises(InputError, match="is not written NAME:ROOT"):
        parse(text)
