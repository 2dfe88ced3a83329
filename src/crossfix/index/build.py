"""Building a map index: in streams, resumable, whole or not there.

The folder holds a journal while it is being built: one line with what is built, then one for every finished file of descriptors. The
manifest comes last and replaces the journal. A build that is killed at any point goes on after the last finished file and ends with the
same bytes as one that was not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from crossfix.disk import append, atomic, disk, sha256
from crossfix.errors import MapIndexError, ModelError
from crossfix.index.folder import DESCRIPTORS, JOURNAL, alone, clear, refuse_foreign, refuse_other
from crossfix.index.parquet import write_chips
from crossfix.index.shards import Matrix, Shard, open_shard, write_shard
from crossfix.index.store import CARRIED, CHIPS, FORMAT, MANIFEST, Describes, MapIndex, describe_map, write_manifest
from crossfix.maps.chip import Chip, ChipTable
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap

SHARD_ROWS = 2048

Report = Callable[[int, int], None]


def build_index(
    geomap: GeoMap,
    describer: Describes,
    out: str | Path,
    plan: TilingPlan,
    *,
    progress: Report | None = None,
    batch: int = 64,
    overwrite: bool = False,
    carried: bool = False,
) -> MapIndex:
    """Cuts a map into chips, describes them, and writes both as an index folder.

    An index of the same map, model and plan that is there already is returned as it is; one that was begun is finished.

    Args:
        geomap: the map.
        describer: the model.
        out: the index folder; made if it is not there.
        plan: which chips.
        progress: called with the number of chips done and in all.
        batch: chips described at once.
        overwrite: remove an index of another map, model or plan, or a damaged one; never anything else.
        carried: the describer is the model that the folder itself holds, see `crossfix.index.fit`; the index says so.

    Returns:
        The finished index, opened.

    Raises:
        MapIndexError: the folder holds something else, or another build is writing into it.
        RasterError: the map cannot be read, or no chip fits.
        ModelError: the model gives descriptors that are not finite.
        DiskError: the disk is full or the folder is not writable; what is finished stays for the next run.
    """
    folder = Path(out)
    refuse_foreign(folder)
    with disk(folder):
        (folder / DESCRIPTORS).mkdir(parents=True, exist_ok=True)
    with alone(folder):
        built: dict[str, Any] = {
            "format": FORMAT,
            "model": {"id": describer.model_id, "sha256": describer.sha256, "dim": describer.dim, "input_px": describer.input_px},
            "plan": {"sides_m": list(plan.sides_m), "overlap": plan.overlap},
            "rasters": describe_map(geomap, folder),
        }
        if carried:
            built["model"][CARRIED] = True
        if overwrite:
            clear(folder, keep_model=carried)
        finished = _reuse(folder, built)
        if finished is not None:
            if progress:
                progress(len(finished), len(finished))
            return finished
        return _build(geomap, describer, folder, plan, built, progress, batch)


def _build(
    geomap: GeoMap, describer: Describes, folder: Path, plan: TilingPlan, built: dict[str, Any], progress: Report | None, batch: int
) -> MapIndex:
    done = _begun(folder, built)
    chips = plan.chips(geomap)
    with atomic(folder / JOURNAL) as file:
        file.write(b"".join(_line(entry) for entry in [built, *map(asdict, done)]))
    write_chips(folder / CHIPS, chips)
    shards = list(done)
    for number in range(len(done), -(-len(chips) // SHARD_ROWS)):
        start = number * SHARD_ROWS
        rows = chips[start : start + SHARD_ROWS]
        desc_BD = _describe(geomap, describer, rows, batch, _shifted(progress, start, len(chips)))
        shard = write_shard(folder, f"{DESCRIPTORS}/{number:06d}.npy", desc_BD)
        append(folder / JOURNAL, _line(asdict(shard)))
        shards.append(shard)
    counts = {"count": len(chips), "chips": {"name": CHIPS, "sha256": sha256(folder / CHIPS), "crs": "OGC:CRS84"}}
    write_manifest(folder, {**built, **counts, "bounds_lonlat": list(geomap.bounds_lonlat), "area_m2": round(geomap.area_m2)}, shards)
    with disk(folder):
        (folder / JOURNAL).unlink()
    return MapIndex.open(folder)


def _describe(geomap: GeoMap, describer: Describes, rows: ChipTable, batch: int, progress: Report | None) -> Matrix:
    out = np.empty((len(rows), describer.dim), dtype=np.float16)
    at = 0
    for chips in _batches(geomap.read_squares(rows, describer.input_px), batch):
        desc_BD = np.asarray(describer.describe([chip.filled() for chip in chips]))
        if desc_BD.shape != (len(chips), describer.dim) or not np.isfinite(desc_BD).all():
            raise ModelError(
                f"gives descriptors that are not {describer.dim} finite numbers", where=describer.model_id, mend="train or export it again"
            )
        out[at : at + len(chips)] = desc_BD
        at += len(chips)
        if progress:
            progress(at, len(rows))
    return out


def _batches(chips: Iterator[Chip], size: int) -> Iterator[list[Chip]]:
    batch: list[Chip] = []
    for chip in chips:
        batch.append(chip)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _shifted(progress: Report | None, start: int, total: int) -> Report | None:
    return None if progress is None else lambda done, _: progress(start + done, total)


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two builds are of the same thing; rasters may have moved, but not changed."""

    def key(built: dict[str, Any]) -> tuple[Any, ...]:
        return built["model"], built["plan"], [item["fingerprint"] for item in built["rasters"]]

    try:
        return key(one) == key(other)
    except (KeyError, TypeError):
        return False


def _reuse(folder: Path, built: dict[str, Any]) -> MapIndex | None:
    if not (folder / MANIFEST).exists():
        return None
    index = MapIndex.open(folder)
    if not _same(index.manifest, built):
        raise refuse_other(folder, "a")
    index.descriptors.check()
    if index.manifest["rasters"] != built["rasters"]:
        write_manifest(folder, {**index.manifest, "rasters": built["rasters"]}, index.descriptors.shards)
        index = MapIndex.open(folder)
    with disk(folder):
        (folder / JOURNAL).unlink(missing_ok=True)
    return index


def _begun(folder: Path, built: dict[str, Any]) -> list[Shard]:
    """The finished files of a build that was stopped, as far as they are whole."""
    try:
        lines = (folder / JOURNAL).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise MapIndexError("the journal cannot be read", where=folder / JOURNAL, mend="add --overwrite") from error
    shards: list[Shard] = []
    for number, line in enumerate(lines[:-1]):  # what follows the last line's end was cut off
        try:
            entry = json.loads(line)
            if number == 0:
                if not _same(entry, built):
                    raise refuse_other(folder, "an unfinished")
                continue
            shard = Shard(**entry)
            if shard.name != f"{DESCRIPTORS}/{number - 1:06d}.npy":
                break
            open_shard(folder, shard, built["model"]["dim"])
        except (ValueError, TypeError):
            break
        except MapIndexError:
            if number == 0:
                raise
            break
        shards.append(shard)
    return shards
