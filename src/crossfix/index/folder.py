"""The folder of a map index while it is written: whose it is, held by one build at a time, cleared when asked."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from crossfix.disk import disk
from crossfix.errors import MapIndexError
from crossfix.index.store import CHIPS, FORMAT, MANIFEST, MODEL

JOURNAL = "journal.jsonl"
DESCRIPTORS = "descriptors"
FITTED = "fitted"


def refuse_foreign(folder: Path) -> None:
    """Refuses a folder that holds anything but a map index, finished or begun.

    Args:
        folder: need not be there.

    Raises:
        MapIndexError: it holds other things.
    """
    mend = "choose another folder with -o"
    if folder.is_dir():
        names = {item.name for item in folder.iterdir() if not item.name.endswith(".part")}
        if names - {DESCRIPTORS} and not _is_ours(folder) and (names - {DESCRIPTORS, MODEL} or fitted(folder) is None):
            raise MapIndexError("the folder holds other things than a map index", where=folder, mend=mend)
    elif folder.exists() or folder.is_symlink():
        raise MapIndexError("is a file, not a folder for a map index", where=folder, mend=mend)


def fitted(folder: Path) -> dict[str, object] | None:
    """What the head in an index folder was fitted on and how, as its card tells; None where there is no fitted head.

    Args:
        folder: the index folder.
    """
    try:
        recipe = json.loads((folder / MODEL / "card.json").read_bytes())["recipe"]
        return dict(recipe[FITTED])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def refuse_other(folder: Path, state: str) -> MapIndexError:
    """The error of a folder that holds an index of something else.

    Args:
        folder: the index folder.
        state: "a" or "an unfinished".
    """
    return MapIndexError(
        f"holds {state} map index of another map, model or tiling plan",
        where=folder,
        mend="choose another folder with -o, or add --overwrite",
    )


def clear(folder: Path, *, keep_model: bool = False) -> None:
    """Removes an index, and nothing else.

    Args:
        folder: the index folder.
        keep_model: leave a model that the folder carries.

    Raises:
        DiskError: something cannot be removed.
    """
    with disk(folder):
        for name in (MANIFEST, JOURNAL, CHIPS):  # the manifest first: without it nothing looks whole
            (folder / name).unlink(missing_ok=True)
        for path in (folder / DESCRIPTORS).glob("[0-9]*.npy"):
            path.unlink()
        if not keep_model and fitted(folder) is not None:
            shutil.rmtree(folder / MODEL)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds the folder for this build; the system lets go of it when the process ends in whatever way.

    Args:
        folder: the index folder; must be there.

    Raises:
        MapIndexError: another build holds it.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with disk(folder):
        handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MapIndexError(
                "another build is writing into the folder", where=folder, mend="wait for it, or choose another -o"
            ) from error
        for path in [*folder.glob(".*.part"), *(folder / DESCRIPTORS).glob(".*.part")]:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        yield
    finally:
        os.close(handle)


def _is_ours(folder: Path) -> bool:
    # A damaged index is still ours: chips and descriptors beside a manifest that cannot be read.
    if (folder / CHIPS).is_file() and (folder / DESCRIPTORS).is_dir():
        return True
    for name in (MANIFEST, JOURNAL):
        with suppress(OSError), (folder / name).open(errors="replace") as file:
            if FORMAT in file.read(256):
                return True
    return False
