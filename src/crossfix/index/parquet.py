"""Chips as GeoParquet 1.1: their squares as polygons, so that any GIS shows them, and the numbers they came from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crossfix.disk import atomic
from crossfix.geo.geodesy import WGS84
from crossfix.maps.chip import ChipTable

ROWS_AT_ONCE = 65536
COLUMNS = ("lon", "lat", "side_m")
# A polygon of one ring of five points in little-endian well-known binary.
_POLYGON = np.dtype([("order", "u1"), ("kind", "<u4"), ("rings", "<u4"), ("points", "<u4"), ("ring", "<f8", (5, 2))])
_GEO = {
    "version": "1.1.0",
    "primary_column": "geometry",
    # Without a "crs" the standard says OGC:CRS84: WGS 84, lon before lat.
    "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Polygon"]}},
}
_SCHEMA = pa.schema([("geometry", pa.binary()), *((name, pa.float64()) for name in COLUMNS)], metadata={"geo": json.dumps(_GEO)})


def write_chips(path: Path, chips: ChipTable) -> None:
    """Writes a table of chips.

    Squares that cross the antimeridian keep their shape: their longitudes go on beyond 180.

    Args:
        path: the file.
        chips: the table.

    Raises:
        DiskError: it could not be written.
    """
    with atomic(path) as file, pq.ParquetWriter(file, _SCHEMA, compression="zstd") as writer:
        for start in range(0, len(chips), ROWS_AT_ONCE):
            part = chips[start : start + ROWS_AT_ONCE]
            columns = [pa.array(_squares(part), pa.binary()), *(pa.array(getattr(part, name)) for name in COLUMNS)]
            writer.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA))


def read_chips(path: Path) -> ChipTable:
    """Reads a table of chips.

    Args:
        path: a file of :func:`write_chips`.

    Raises:
        OSError: it cannot be read.
        pyarrow.ArrowException: it is damaged or no such table.
    """
    table = pq.read_table(path, columns=list(COLUMNS))
    return ChipTable(*(table.column(name).to_numpy() for name in COLUMNS))


def _squares(chips: ChipTable) -> list[bytes]:
    """Corners from the upper right counter-clockwise, as geodesics from the centre."""
    count = len(chips)
    records = np.zeros(count, dtype=_POLYGON)
    records["order"], records["kind"], records["rings"], records["points"] = 1, 3, 1, 5
    for corner, bearing in enumerate((45.0, 315.0, 225.0, 135.0, 45.0)):
        lon, lat, _ = WGS84.fwd(chips.lon, chips.lat, np.full(count, bearing), chips.side_m / np.sqrt(2))
        records["ring"][:, corner, 0] = chips.lon + (lon - chips.lon + 180) % 360 - 180
        records["ring"][:, corner, 1] = lat
    raw = records.tobytes()
    return [raw[at : at + _POLYGON.itemsize] for at in range(0, len(raw), _POLYGON.itemsize)]
