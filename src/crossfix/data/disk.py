"""A copy of a data set on disk: its lists, its folders of images, and what in them is not as it should be.

What is wrong is collected as findings: ``inspect`` gives them all, ``task`` raises the first.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from crossfix.data.dataset import Finding
from crossfix.data.places import relative
from crossfix.data.view import View, is_image
from crossfix.errors import DataError

Lines = list[tuple[int, str]]
_UNPACK = "unpack it from the published archives"


def refuse(root: Path, findings: Sequence[Finding]) -> None:
    """Raise the first of some findings, if there is one.

    Raises:
        DataError: the first finding, and how many more there are.
    """
    if findings:
        first, more = findings[0], len(findings) - 1
        what = first.what if more == 0 else f"{first.what} (and {more} more findings; check the data set to see them all)"
        raise DataError(what, where=root / first.where, mend=first.mend or None)


def read_lines(root: Path, name: str) -> tuple[Lines, list[Finding]]:
    """The lines of a list of a data set that are not blank, with their numbers (from 1).

    Args:
        root: of the data set.
        name: of the list, relative to the root.

    Returns:
        The lines, and the finding that says why there are none.
    """
    try:
        text = (root / name).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return [], [Finding("missing", name, "the list is missing", _UNPACK)]
    except (OSError, UnicodeDecodeError) as error:
        return [], [Finding("split", name, f"the list cannot be read ({error})", "replace it by the published one")]
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    return lines, [] if lines else [Finding("split", name, "the list is empty", "replace it by the published one")]


def list_images(folder: Path) -> list[Path]:
    """The images of a folder in the order of their names; none where there is no such folder.

    Raises:
        DataError: where the folder cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if is_image(path))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DataError(f"the folder cannot be read ({error.strerror})", where=folder, mend="check its permissions") from error


def look_up(root: Path, views: Sequence[View]) -> tuple[list[bool], list[Finding]]:
    """Which views have their file, and a finding for every one that has not, or one for a whole folder that is not there.

    Folders are listed once each: a hundred thousand questions after single files take minutes on a network disk.

    Raises:
        DataError: where a folder cannot be read.
    """
    names: dict[str, set[str] | None] = {}
    there, findings = [], []
    for view in views:
        folder, _, name = view.path.as_posix().rpartition("/")
        if folder not in names:
            names[folder] = _names(Path(folder))
            if names[folder] is None:
                findings.append(Finding("missing", relative(root, view.path.parent), "the folder is missing", _UNPACK))
        known = names[folder]
        there.append(known is not None and name in known)
        if known is not None and name not in known:
            findings.append(Finding("missing", relative(root, view.path), "the image is missing", _UNPACK))
    return there, findings


def _names(folder: Path) -> set[str] | None:
    try:
        return set(os.listdir(folder))  # noqa: PTH208 - names only, no Path a file
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(f"the folder cannot be read ({error.strerror})", where=folder, mend="check its permissions") from error
