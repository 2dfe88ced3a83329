"""Square chips cut from a map in degrees, for benchmarks that come with maps instead of tiles.

The map may lie in several files, side by side. Chips are written as JPEG files beside a list of them, which is written last: chips
without a list are those of a run that did not end, and the next run goes on with them. Every file appears when it is whole.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from crossfix.disk import write_json
from crossfix.errors import DataError, DiskError, InputError
from crossfix.geo.geodesy import distance_m

JPEG_QUALITY = 95
MIN_SIDE_PX = 16
FORMAT = 1
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class DegreeMap:
    """A map whose pixels have one size in degrees, in one file or several.

    Attributes:
        files: rows from north to south, of files from west to east; files of a row have one height, files of a column one width.
        west: degrees, outer edge of the first column of pixels.
        north: outer edge of the first row.
        east: outer edge of the last column.
        south: outer edge of the last row.
    """

    files: tuple[tuple[Path, ...], ...]
    west: float
    north: float
    east: float
    south: float

    def covers(self, lon: float, lat: float) -> bool:
        """Whether a position lies on the map."""
        return self.west <= lon <= self.east and self.south <= lat <= self.north


@dataclass(frozen=True)
class CutChip:
    """A chip: north-up, and as high as wide on the ground.

    Attributes:
        file: relative to the folder of the list.
        lon: of its middle, degrees.
        lat: likewise.
        width_deg: of longitude that it covers.
        height_deg: of latitude.
        side_m: metres on the ground.
    """

    file: str
    lon: float
    lat: float
    width_deg: float
    height_deg: float
    side_m: float


def cut_map(
    name: str, source: DegreeMap, folder: Path, side_px: int, overlap: float, progress: Callable[[int, int], None] | None = None
) -> list[CutChip]:
    """Cut a map into chips on a regular grid, written to ``FOLDER/NAME/`` with their list ``FOLDER/NAME.json``.

    The last chips of a row or column are moved back to end at the map's edge. Where the map is smaller than a chip the rest stays black.
    Memory: one strip of the map. A run that was killed goes on where it stood, and one that is complete is left as it is, if map, side and
    overlap are the same; otherwise the chips are cut anew.

    Args:
        name: of the map.
        source: the map.
        folder: to write to, made if needed.
        side_px: of a chip, in rows of the map; as it is read from more or fewer columns, it is square on the ground.
        overlap: of neighbours, as a part of the side, 0 to less than 1.
        progress: told the chips done and in all.

    Returns:
        The chips, row by row from the north-west.

    Raises:
        InputError: where side or overlap make no sense.
        DataError: where the map cannot be read.
        DiskError: where the chips cannot be written.
    """
    check_chips(side_px, overlap)
    with ExitStack() as stack:
        mosaic = _Mosaic(source, stack)
        grid = _grid(name, source, mosaic, side_px, overlap)
        try:
            plan = {"format": FORMAT, "side_px": side_px, "overlap": overlap, "map": _fingerprint(source)}
            there = _begin(name, folder, plan)
            rows = starts(mosaic.height, side_px, overlap)
            for row, top in enumerate(rows):
                done = row * len(grid) // len(rows)
                missing = [(left, chip) for left, chip in grid[done : done + len(grid) // len(rows)] if chip.file not in there]
                if missing:
                    columns = mosaic.columns_of(source, side_px)
                    strip = mosaic.read_rows(top, side_px, columns)
                    for left, chip in missing:
                        picture = Image.fromarray(strip[:, left : left + columns])
                        _save(folder / chip.file, picture.resize((side_px, side_px), Image.Resampling.LANCZOS))
                if progress is not None:
                    progress(done + len(grid) // len(rows), len(grid))
            chips = [chip for _, chip in grid]
            write_json(folder / f"{name}.json", {**plan, "chips": [asdict(chip) for chip in chips]})
            _plan_path(folder, name).unlink()
        except OSError as error:
            raise DiskError(f"the chips cannot be written ({error.strerror or error})", where=folder, mend="give another folder") from error
    return chips


def check_chips(side_px: int, overlap: float) -> None:
    """Refuse what makes no chips.

    Raises:
        InputError: where side or overlap make no sense.
    """
    if side_px < MIN_SIDE_PX:
        raise InputError(f"a chip of {side_px} pixels is too small", mend=f"ask for at least {MIN_SIDE_PX}")
    if not 0 <= overlap < 1:
        raise InputError(f"an overlap of {overlap} makes no sense", mend="give a part of the side, 0 to less than 1")


def count_chips(source: DegreeMap, side_px: int, overlap: float) -> int:
    """How many chips `cut_map` makes of a map.

    Raises:
        DataError: where the map cannot be read.
    """
    with ExitStack() as stack:
        mosaic = _Mosaic(source, stack)
        return len(starts(mosaic.height, side_px, overlap)) * len(starts(mosaic.width, mosaic.columns_of(source, side_px), overlap))


def _grid(name: str, source: DegreeMap, mosaic: _Mosaic, side_px: int, overlap: float) -> list[tuple[int, CutChip]]:
    """Every chip with the first of its columns, row by row."""
    width_deg, height_deg = (source.east - source.west) / mosaic.width, (source.north - source.south) / mosaic.height
    columns, side_m = mosaic.columns_of(source, side_px), side_px * mosaic.pixel_m(source)[1]
    chips = []
    for row, top in enumerate(starts(mosaic.height, side_px, overlap)):
        for column, left in enumerate(starts(mosaic.width, columns, overlap)):
            file = f"{name}/{name}_{row:04}_{column:04}.jpg"
            at = source.west + (left + columns / 2) * width_deg, source.north - (top + side_px / 2) * height_deg
            chips.append((left, CutChip(file, *at, columns * width_deg, side_px * height_deg, side_m)))
    return chips


def _fingerprint(source: DegreeMap) -> list[object]:
    """What tells that a map is another one than before."""
    corners = [source.west, source.north, source.east, source.south]
    return [corners, *([path.name, path.stat().st_size, path.stat().st_mtime_ns] for row in source.files for path in row)]


def _plan_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.part.json"


def _begin(name: str, folder: Path, plan: dict[str, object]) -> set[str]:
    """Make the folder ready; returns the chips of this plan that are there. Those of another plan, or of none, are not counted."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    listed, unfinished = folder / f"{name}.json", _plan_path(folder, name)
    known = json.loads(json.dumps(plan))
    ours = False
    for path in (listed, unfinished):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            ours = ours or {key: told.get(key) for key in known} == known
        except (FileNotFoundError, ValueError, AttributeError):
            continue
    found = {f"{name}/{path.name}" for path in (folder / name).iterdir() if path.is_file()}
    if not ours:
        # In this order: whenever it is killed, chips of another plan are never taken for this one's.
        unfinished.unlink(missing_ok=True)
        listed.unlink(missing_ok=True)
        for file in found:
            (folder / file).unlink()
        found = set()
    write_json(unfinished, plan)
    listed.unlink(missing_ok=True)
    return found


def _save(path: Path, picture: Image.Image) -> None:
    temporary = path.with_suffix(".part")
    picture.save(temporary, "JPEG", quality=JPEG_QUALITY)
    temporary.replace(path)


def read_chips(name: str, folder: Path) -> list[CutChip]:
    """Read the list that `cut_map` wrote.

    Raises:
        DataError: where it is missing, damaged, or names chips that are not there.
    """
    path = folder / f"{name}.json"
    mend = "cut the chips again: crossfix data chips ROOT"
    if not path.is_file():
        raise DataError("there are no chips of this map", where=path, mend="cut them: crossfix data chips ROOT")
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise DataError(f"has format {told['format']}, not {FORMAT}", where=path, mend=mend)
        chips = [CutChip(**chip) for chip in told["chips"]]
        there = {f"{name}/{found.name}" for found in (folder / name).iterdir()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"the list of chips is damaged ({error})", where=path, mend=mend) from error
    for chip in chips:
        if chip.file not in there:
            raise DataError(f"names {chip.file}, which is not there", where=path, mend=mend)
    return chips


def starts(total: int, length: int, overlap: float) -> list[int]:
    """Where pieces of a length begin that together cover a whole, the last one ending with it."""
    if total <= length:
        return [0]
    step = max(1, math.floor(length * (1 - overlap)))
    return [*range(0, total - length, step), total - length]


class _Mosaic:
    """The files of a map, opened, as one picture."""

    def __init__(self, source: DegreeMap, stack: ExitStack) -> None:
        self.rows = [[_opened(path, stack) for path in row] for row in source.files]
        for one, other in pairwise(self.rows):
            if [part.width for part in one] != [part.width for part in other]:
                raise DataError("the parts of the map do not fit together", where=other[0].name, mend="download the parts again")
        for row in self.rows:
            if len({part.height for part in row}) != 1:
                raise DataError("the parts of the map do not fit together", where=row[0].name, mend="download the parts again")
        self.width = sum(part.width for part in self.rows[0])
        self.height = sum(row[0].height for row in self.rows)

    def pixel_m(self, source: DegreeMap) -> tuple[float, float]:
        """Width and height of a pixel on the ground, metres, in the middle of the map."""
        lon, lat = (source.west + source.east) / 2, (source.south + source.north) / 2
        across, along = distance_m(source.west, lat, source.east, lat), distance_m(lon, source.south, lon, source.north)
        return across / self.width, along / self.height

    def columns_of(self, source: DegreeMap, rows: int) -> int:
        """How many columns are as wide as some rows are high."""
        across, along = self.pixel_m(source)
        return max(1, round(rows * along / across))

    def read_rows(self, top: int, count: int, least_width: int) -> Pixels:
        """Some rows of pixels, (count, W, 3) with W the map's width or more; black beyond the map."""
        strip = np.zeros((count, max(self.width, least_width), 3), np.uint8)
        for at, part, left in self._parts():
            first, last = max(top, at), min(top + count, at + part.height)
            if first >= last:
                continue
            window = Window(0, first - at, part.width, last - first)
            try:
                bands = part.read(indexes=[1, 2, 3] if part.count >= 3 else [1, 1, 1], window=window)
            except RasterioError as error:
                raise DataError(f"the map cannot be read ({error})", where=part.name, mend="download it again") from error
            strip[first - top : last - top, left : left + part.width] = np.moveaxis(bands, 0, 2)
        return strip

    def _parts(self) -> Iterator[tuple[int, rasterio.io.DatasetReader, int]]:
        top = 0
        for row in self.rows:
            left = 0
            for part in row:
                yield top, part, left
                left += part.width
            top += row[0].height


def _opened(path: Path, stack: ExitStack) -> rasterio.io.DatasetReader:
    try:
        with warnings.catch_warnings():
            # The corners come from elsewhere.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            part = stack.enter_context(rasterio.open(path, driver="GTiff"))
    except RasterioError as error:
        raise DataError(f"the map cannot be read ({error})", where=path, mend="download it again") from error
    if set(part.dtypes) != {"uint8"}:
        raise DataError(f"the map has pixels of type {part.dtypes[0]}, not 8 bit", where=path, mend="download it again")
    return part
