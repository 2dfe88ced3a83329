"""What a written set is to hold, and the runner that writes it world by world and goes on where it was killed."""

from __future__ import annotations

import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from crossfix.errors import DataError, DiskError, InputError
from crossfix.workers import worker_processes
from crossfix.worlds.devices import whole_file, writing
from crossfix.worlds.noise import keyed_rng
from crossfix.worlds.sites import SITES_A_WORLD, Ground, Site, Studio

Report = Callable[[int, int], None]
Rows = list[dict[str, Any]]
HALVES = ("train", "test")
NOTES = ".worlds"
_MIN_PX = 32
_QUALITY = 92


@dataclass(frozen=True)
class SetPlan:
    """What a written set holds.

    Attributes:
        places: of each half.
        seed: of everything.
        regions: styles; worlds take them in turn.
        halves: "train", "test" or both; their worlds differ.
        scale: size of the pictures as a fraction of the published one.
    """

    places: int
    seed: int = 0
    regions: tuple[str, ...] = ("suburb",)
    halves: tuple[str, ...] = HALVES
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.places < 1:
            raise InputError(f"{self.places} places make no data set", mend="give --places at least 1")
        if not 0 < self.scale <= 1:
            raise InputError(f"a scale of {self.scale:g}", mend="give --scale above 0 and at most 1")
        if not self.halves or not set(self.halves) <= set(HALVES):
            raise InputError(f"no such split: {', '.join(self.halves)}", mend=f"give {' or '.join(HALVES)}, or both")

    def px(self, published: int) -> int:
        """A side of a picture in pixels, at least 32."""
        return max(_MIN_PX, round(published * self.scale))

    def size(self, published: tuple[int, int]) -> tuple[int, int]:
        """Width and height of a picture, scaled together so that the shorter side has at least 32 pixels."""
        scale = max(self.scale, _MIN_PX / min(published))
        return round(published[0] * scale), round(published[1] * scale)


class TreeWriter(ABC):
    """Writes worlds as a tree of files, in parts.

    Args:
        root: the tree's folder.
        seed: of everything.
        parts: of the tree, such as train and test; the worlds of two parts differ.
    """

    name: ClassVar[str]

    def __init__(self, root: Path, seed: int, parts: Sequence[str]) -> None:
        self.root, self.seed, self.parts = root, seed, tuple(parts)

    @abstractmethod
    def provenance(self) -> dict[str, Any]:
        """All that decides the tree's bytes besides this program, as JSON values; a tree of another one is refused."""

    @abstractmethod
    def ground(self, half: str) -> Ground:
        """Where the sites of a half lie."""

    @abstractmethod
    def take(self, studio: Studio, site: Site, half: str) -> dict[str, Any]:
        """Take all pictures of a site; returns what the lists have to say of it, as JSON values."""

    @abstractmethod
    def lists(self, rows: dict[str, Rows]) -> None:
        """Write the split files, from what :meth:`take` returned for the sites of each half, in their order."""

    @abstractmethod
    def worlds(self, half: str) -> list[int]:
        """Number of sites of each world of a half."""

    def picture(self, name: str, make: Callable[[], npt.NDArray[np.uint8]]) -> None:
        """Take a picture, (H, W, 3) uint8 RGB, and store it under the root, unless it is there."""
        if not (self.root / name).exists():
            with self._file(name) as temporary:
                Image.fromarray(make()).save(temporary, quality=_QUALITY)  # formats without a quality pass it over

    def pictures(self, names: Sequence[str], make: Callable[[], npt.NDArray[np.uint8]]) -> None:
        """Take a picture that stands in several folders, and copy it."""
        self.picture(names[0], make)
        for name in names[1:]:
            if not (self.root / name).exists():
                with self._file(name) as temporary:
                    shutil.copyfile(self.root / names[0], temporary)

    def text(self, name: str, content: str) -> None:
        """Write a text file under the root."""
        with self._file(name) as temporary:
            temporary.write_text(content)

    @contextmanager
    def _file(self, name: str) -> Iterator[Path]:
        """A temporary path that becomes a file under the root; its folder is made."""
        path = self.root / name
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary:
            yield temporary


class SetWriter(TreeWriter):
    """Writes worlds in one data set's tree.

    Args:
        root: the set's folder.
        plan: what it is to hold.
    """

    def __init__(self, root: Path, plan: SetPlan) -> None:
        super().__init__(root, plan.seed, plan.halves)
        self.plan = plan

    def provenance(self) -> dict[str, Any]:
        """The plan."""
        return asdict(self.plan)

    def worlds(self, half: str) -> list[int]:
        """As few worlds as hold all places."""
        return split_over_worlds(self.plan.places)


def split_over_worlds(sites: int) -> list[int]:
    """Twelve sites to a world, the rest in the last."""
    full, rest = divmod(sites, SITES_A_WORLD)
    return [SITES_A_WORLD] * full + [rest] * (rest > 0)


def world_seed(writer: TreeWriter, half: str) -> int:
    """The seed of a half's worlds: the halves have nothing in common."""
    return int(keyed_rng(writer.seed, "set", writer.name, half).integers(2**31))


def write_set(writer: TreeWriter, *, progress: Report | None = None, workers: int | None = None) -> Path:
    """Write a set, or finish one that was interrupted; a finished one of the same plan is left as it is.

    Args:
        writer: of the data set.
        progress: told the worlds done and in all.
        workers: processes; as many as there are cores if none is given.

    Returns:
        The set's folder.

    Raises:
        InputError: for an unknown region.
        DataError: where the folder holds other files.
        DiskError: where it cannot be written.
    """
    notes = writer.root / NOTES
    plan = {"format": 1, "set": writer.name, **json.loads(json.dumps(writer.provenance()))}
    grounds = {half: writer.ground(half) for half in writer.parts}  # refuses unknown regions before anything is written
    jobs = [(half, number) for half in grounds for number in range(len(writer.worlds(half)))]
    try:
        _claim(writer.root, notes, plan)
        missing = [job for job in jobs if not _note(notes, *job).exists()]
        done = len(jobs) - len(missing)
        if progress:
            progress(done, len(jobs))
        for _ in _run(writer, missing, workers or os.cpu_count() or 1):
            done += 1
            if progress:
                progress(done, len(jobs))
        rows = {half: [row for other, number in jobs if other == half for row in _read(_note(notes, half, number))] for half in grounds}
        writer.lists(rows)
    except OSError as error:
        raise DiskError(f"cannot be written ({error.strerror})", where=writer.root, mend="check the folder and the free space") from error
    return writer.root


def _run(writer: TreeWriter, jobs: list[tuple[str, int]], workers: int) -> Iterator[None]:
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            _write_world(writer, *job)
            yield
        return
    with worker_processes(min(workers, len(jobs))) as pool:
        yield from pool.map(_write_world, [writer] * len(jobs), *zip(*jobs, strict=True))


def _write_world(writer: TreeWriter, half: str, number: int) -> None:
    studio = Studio(writer.ground(half), world_seed(writer, half), number)
    rows = [writer.take(studio, site, half) for site in studio.sites[: writer.worlds(half)[number]]]
    path = _note(writer.root / NOTES, half, number)
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(rows))


def _claim(root: Path, notes: Path, plan: dict[str, Any]) -> None:
    """Make the folder this plan's own.

    Raises:
        DataError: where it holds another set, or files that are none of ours.
    """
    root.mkdir(parents=True, exist_ok=True)
    path = notes / "plan.json"
    if path.exists():
        if _read(path) != plan:
            raise DataError("holds a set of another plan", where=root, mend="choose another folder, or delete this one")
        return
    if any(root.iterdir()):
        raise DataError("is not empty", where=root, mend="choose another folder")
    notes.mkdir()
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(plan))


def _note(notes: Path, half: str, number: int) -> Path:
    return notes / f"{half}-{number:05d}.json"


def _read(path: Path) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise DataError("is damaged", where=path, mend="delete the set and write it again") from error
