"""Checking a copy of a data set: its layout, every image, and images that stand for two places."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crossfix.data.dataset import Count, Dataset, Finding
from crossfix.data.places import relative
from crossfix.data.view import View
from crossfix.errors import CrossfixError, DataError

Report = Callable[[int, int], None]
_BATCH = 256


@dataclass(frozen=True)
class CheckReport:
    """What was found in a copy of a data set.

    Attributes:
        dataset: its name.
        root: folder of the copy.
        findings: everything that is wrong: of the layout, then images that cannot be decoded, then duplicates.
        counts: the published numbers beside those of the copy.
        images: how many images there are; 0 where they were not looked at.
        decoded: whether they were.
    """

    dataset: str
    root: str
    findings: tuple[Finding, ...]
    counts: tuple[Count, ...]
    images: int
    decoded: bool

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong and every number is the published one."""
        return not self.findings and all(count.official == count.found for count in self.counts)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "dataset": self.dataset,
            "root": self.root,
            "ok": self.ok,
            "images": self.images,
            "decoded": self.decoded,
            "findings": [asdict(finding) for finding in self.findings],
            "counts": [asdict(count) for count in self.counts],
        }


def check(dataset: Dataset, *, progress: Report | None = None, decode: bool = True) -> CheckReport:
    """Look for everything that is wrong with a copy of a data set.

    The same copy gives the same report, findings in the same order.

    Args:
        dataset: the copy.
        progress: told the images done and in all.
        decode: whether to read and decode every image; without, only the layout, lists and counts are checked.
    """
    findings, counts = _layout(dataset)
    views: list[View] = []
    if decode:
        try:
            views = dataset.images()
        except CrossfixError as error:
            findings.append(_finding(dataset.root, error))
    unreadable: list[Finding] = []
    first: dict[str, View] = {}
    duplicates: list[Finding] = []
    for done, (view, result) in enumerate(_decoded(views), start=1):
        if isinstance(result, DataError):
            unreadable.append(Finding("unreadable", relative(dataset.root, view.path), result.what, result.mend or ""))
        elif (other := first.setdefault(result, view)).place != view.place:
            what = f"has the same bytes as {relative(dataset.root, other.path)}, of another place ({other.place}, this is {view.place})"
            duplicates.append(Finding("duplicate", relative(dataset.root, view.path), what, "take one of them out, or report it"))
        if progress is not None:
            progress(done, len(views))
    found = tuple(dict.fromkeys([*findings, *unreadable, *duplicates]))
    return CheckReport(dataset.name, str(dataset.root), found, tuple(counts), len(views), decode)


def _layout(dataset: Dataset) -> tuple[list[Finding], list[Count]]:
    findings: list[Finding] = []
    counts: list[Count] = []
    try:
        for item in dataset.inspect():
            if isinstance(item, Finding):
                findings.append(item)
            else:
                counts.append(item)
    except CrossfixError as error:
        findings.append(_finding(dataset.root, error))
    return findings, counts


def _finding(root: Path, error: CrossfixError) -> Finding:
    return Finding("split", "" if error.where is None else relative(root, error.where), error.what, error.mend or "")


def _decoded(views: list[View]) -> Iterator[tuple[View, str | DataError]]:
    """Every view with the SHA-256 of its file, or what keeps it from being decoded, in their order.

    Pillow decodes without holding the interpreter's lock. Batches bound how many results wait for a slow one.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for begin in range(0, len(views), _BATCH):
            batch = views[begin : begin + _BATCH]
            yield from zip(batch, pool.map(_look, batch), strict=True)


def _look(view: View) -> str | DataError:
    try:
        view.read()
        with view.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except DataError as error:
        return error
    except OSError as error:
        return DataError(f"cannot be read ({error.strerror})", where=view.path, mend="check its permissions")
