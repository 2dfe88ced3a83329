"""The data sets that have names, each imported when it is asked for."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from crossfix.data.dataset import Dataset
from crossfix.errors import DataError, InputError


class _Lazy(Mapping[str, type[Dataset]]):
    """Classes by name, in modules that are imported at the first use."""

    def __init__(self, classes: dict[str, tuple[str, str]]) -> None:
        self._classes = classes

    def __getitem__(self, name: str) -> type[Dataset]:
        module, cls = self._classes[name]
        return cast("type[Dataset]", getattr(importlib.import_module(f"crossfix.data.{module}"), cls))

    def __contains__(self, name: object) -> bool:
        return name in self._classes  # the inherited one would import the module

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)


DATASETS: Mapping[str, type[Dataset]] = _Lazy(
    {
        "cvusa": ("cvusa", "Cvusa"),
        "cvact": ("cvact", "Cvact"),
        "vigor": ("vigor", "Vigor"),
        "university1652": ("university1652", "University1652"),
        "sues200": ("sues200", "Sues200"),
        "denseuav": ("denseuav", "DenseUav"),
        "gtauav": ("gtauav", "GtaUav"),
        "uavvisloc": ("uavvisloc", "UavVisLoc"),
        "worlds-v1": ("worldsv1", "WorldsV1"),
        "folder": ("folder", "Folder"),
    }
)
"""Every data set by its name; looking one up imports its module."""


def open_dataset(name: str, root: str | Path) -> Dataset:
    """A copy of a data set.

    Args:
        name: one of ``DATASETS``.
        root: folder of the copy.

    Raises:
        InputError: where there is no data set of this name.
        DataError: where there is no such folder.
    """
    dataset = _find(name)
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise DataError("there is no such folder", where=folder, mend=f"give the folder that holds {name}")
    return dataset(folder)


def parse(text: str) -> tuple[str, Path]:
    """Read ``NAME:ROOT`` as the command line writes it: the name of a data set, and the folder of its copy.

    The root may hold more colons, and ``~`` at its beginning is the home folder.

    Raises:
        InputError: where it is written otherwise or there is no data set of this name.
    """
    name, colon, root = text.partition(":")
    if not colon or not root:
        raise InputError("is not written NAME:ROOT", where=text, mend="write it like cvusa:FOLDER, with the folder of your copy")
    _find(name)
    return name, Path(root).expanduser()


def card(name: str) -> str:
    """The data card: where a data set comes from, what it holds, on what terms, how to get it and what is wrong with it.

    Raises:
        InputError: where there is no data set of this name.
    """
    text = inspect.getdoc(_find(name))
    assert text is not None, f"{name} has no card"
    return text


def _find(name: str) -> type[Dataset]:
    if name not in DATASETS:
        near = difflib.get_close_matches(name.lower(), DATASETS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"no data set of this name{hint}", where=name or "data set", mend=f"choose one of {', '.join(DATASETS)}")
    return DATASETS[name]
