"""A finished map index: opened with every doubt raised at once, read in blocks."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crossfix.disk import atomic, sha256
from crossfix.errors import MapIndexError
from crossfix.index.parquet import read_chips
from crossfix.index.shards import MEND, Descriptors, Shard
from crossfix.maps.chip import ChipTable
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap
from crossfix.models.describe import Kind

FORMAT = "crossfix map index"
VERSION = 1
MANIFEST = "manifest.json"
CHIPS = "chips.parquet"
MODEL = "model"
CARRIED = "carried"


class Describes(Protocol):
    """What turns pictures into descriptors: `crossfix.models.describe.Describer`, or anything alike."""

    model_id: str
    sha256: str
    dim: int
    input_px: int

    def describe(self, images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], /, *, kind: Kind = ...) -> NDArray[np.float32]:
        """Descriptors of pictures.

        Args:
            images: (B, H, W, 3) uint8, or as many (H, W, 3).
            kind: chips are satellite pictures, photos are queries.

        Returns:
            (B, D) float32 of unit norm.
        """


@dataclass(frozen=True, eq=False)
class MapIndex:
    """The chips of a map with their descriptors.

    Args:
        path: the index folder.
        chips: (N) squares.
        descriptors: (N, D) float16, on disk.
        manifest: what the folder says of itself.
    """

    path: Path
    chips: ChipTable
    descriptors: Descriptors
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> MapIndex:
        """Opens an index folder.

        The manifest and the chips are checked here, each file of descriptors when it is first touched.

        Args:
            path: the folder.

        Raises:
            MapIndexError: there is none, it is not finished, it is damaged, or a newer crossfix made it.
        """
        path = Path(path)
        manifest = read_manifest(path)
        try:
            shards = [Shard(str(item["name"]), int(item["rows"]), str(item["sha256"])) for item in manifest["shards"]]
            count, dim = int(manifest["count"]), int(manifest["model"]["dim"])
            chips_sha256, _, _ = manifest["chips"]["sha256"], manifest["model"]["sha256"], manifest["model"]["id"]
            manifest["plan"]["sides_m"], manifest["rasters"][0]["path"]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise MapIndexError("the manifest lacks what an index needs", where=path / MANIFEST, mend=MEND) from error
        if any(Path(shard.name).is_absolute() or ".." in Path(shard.name).parts for shard in shards):
            raise MapIndexError("the manifest names files outside its folder", where=path / MANIFEST, mend=MEND)
        try:
            if sha256(path / CHIPS) != chips_sha256:
                raise MapIndexError("the chips are damaged: their checksum is another one", where=path / CHIPS, mend=MEND)
            chips = read_chips(path / CHIPS)
        except (OSError, pa.ArrowException) as error:
            raise MapIndexError("the chips cannot be read", where=path / CHIPS, mend=MEND) from error
        descriptors = Descriptors(path, shards, dim)
        if not count == len(chips) == len(descriptors):
            raise MapIndexError("chips and descriptors are not equally many", where=path, mend=MEND)
        missing = [shard.name for shard in shards if not (path / shard.name).is_file()]
        if missing:
            raise MapIndexError(f"{len(missing)} of {len(shards)} files of descriptors are missing", where=path / missing[0], mend=MEND)
        return cls(path, chips, descriptors, manifest)

    @property
    def model_id(self) -> str:
        """The name of the model that made the descriptors."""
        return str(self.manifest["model"]["id"])

    @property
    def model_sha256(self) -> str:
        """The digest of that model."""
        return str(self.manifest["model"]["sha256"])

    @property
    def model_folder(self) -> Path | None:
        """The folder of the model that the index carries, one fitted on its own map; None where a name or another folder holds it."""
        return self.path / MODEL if self.manifest["model"].get(CARRIED) is True else None

    @property
    def plan(self) -> TilingPlan:
        """The tiling plan of the chips."""
        plan = self.manifest["plan"]
        return TilingPlan(tuple(plan["sides_m"]), plan["overlap"])

    def __len__(self) -> int:
        return len(self.chips)

    def check_model(self, describer: Describes) -> None:
        """Refuses a model whose descriptors cannot be compared with those of the index.

        Args:
            describer: what the queries are described with.

        Raises:
            MapIndexError: it is another model than the one the index was built with.
        """
        if describer.sha256 != self.model_sha256 or describer.dim != self.descriptors.shape[1]:
            same = " of other weights" if describer.model_id == self.model_id else ""
            use = f"use --model {self.model_id}" if self.model_folder is None else "leave out --model: it carries its own"
            raise MapIndexError(
                f"was built with the model {self.model_id}, not with {describer.model_id}{same}",
                where=self.path,
                mend=f"{use}, or build the index again with the other model",
            )

    def geomap(self) -> GeoMap:
        """Opens the rasters that the index was built from.

        They are looked for where they were, then at the same place relative to the index folder.

        Raises:
            MapIndexError: one is gone or is not what it was.
        """
        geomap = GeoMap.open([self._find_raster(item) for item in self.manifest["rasters"]])
        for source, item in zip(geomap.sources, self.manifest["rasters"], strict=True):
            if source.fingerprint() != item["fingerprint"]:
                geomap.close()
                raise MapIndexError(
                    "the raster is not the one that the index was built from", where=source.path, mend="put the old one back, or " + MEND
                )
        return geomap

    def _find_raster(self, item: dict[str, Any]) -> Path:
        places = (Path(str(item["path"])), self.path / str(item["relative"]))
        for place in places:
            if place.is_file():
                return place
        raise MapIndexError(
            "the raster that the index was built from is gone",
            where=places[0],
            mend="put it back, or at the same place relative to the index folder, or " + MEND,
        )


def describe_map(geomap: GeoMap, folder: Path) -> list[dict[str, Any]]:
    """What a manifest keeps of the rasters.

    Args:
        geomap: the map.
        folder: the index folder.

    Raises:
        RasterError: a raster cannot be read.
    """
    items = []
    for source in geomap.sources:
        path = source.path.resolve()
        try:
            relative = os.path.relpath(path, folder.resolve())
        except ValueError:  # on another drive
            relative = str(path)
        items.append({"path": str(path), "relative": relative, "fingerprint": source.fingerprint()})
    return items


def write_manifest(path: Path, manifest: dict[str, Any], shards: Sequence[Shard]) -> None:
    """Writes the manifest, which makes a folder an index.

    Args:
        path: the index folder.
        manifest: everything but the shards.
        shards: the files of descriptors.

    Raises:
        DiskError: it could not be written.
    """
    whole = {"format": FORMAT, "version": VERSION, **manifest, "shards": [asdict(shard) for shard in shards]}
    with atomic(path / MANIFEST) as file:
        file.write(json.dumps(whole, indent=1).encode())


def read_manifest(path: Path) -> dict[str, Any]:
    """Reads a manifest.

    Args:
        path: the index folder.

    Raises:
        MapIndexError: the folder is none, holds no finished index, or is of a format that is not known.
    """
    if not path.is_dir():
        raise MapIndexError("there is no such map index", where=path, mend="build one with crossfix map build RASTER -o " + path.name)
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise MapIndexError(
            "holds no finished map index", where=path, mend="run crossfix map build again: it goes on where it stopped"
        ) from error
    except (OSError, ValueError) as error:
        raise MapIndexError("the manifest cannot be read", where=path / MANIFEST, mend=MEND) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise MapIndexError("is no manifest of a map index", where=path / MANIFEST, mend=MEND)
    version = manifest.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= VERSION:
        raise MapIndexError(f"is of format {version}, which this crossfix does not read", where=path / MANIFEST, mend="update crossfix")
    return manifest
