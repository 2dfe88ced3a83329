"""Tables of data sets, read row by row, with the line in every complaint."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from crossfix.data.places import REFETCH
from crossfix.errors import DataError, InputError
from crossfix.geo.geodesy import check_lonlat


def read_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a table with a header; blanks around names and values are taken off, blank lines passed over.

    Args:
        path: of the table.
        needed: columns that it must have, with a value in every row.

    Yields:
        Number of the line, and the values by column; columns that a short row lacks are not in it.

    Raises:
        DataError: where the table cannot be read, naming the line where a value is missing.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, [value.strip() for value in row]) for row in reader if any(value.strip() for value in row)]
    except FileNotFoundError as error:
        raise DataError("is missing", where=path, mend=REFETCH) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot be read ({error})", where=path, mend=REFETCH) from error
    header = rows[0][1] if rows else []
    for column in needed:
        if column not in header:
            raise DataError(f"has no column {column}", where=path, mend=REFETCH)
    for line, values in rows[1:]:
        row = dict(zip(header, values, strict=False))
        for column in needed:
            if not row.get(column):
                raise DataError(f"has no {column}", where=f"{path} line {line}", mend=REFETCH)
        yield line, row


def number_of(path: Path, line: int, row: dict[str, str], column: str) -> float:
    """A value as a finite number.

    Raises:
        DataError: naming the line, where it is none.
    """
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{column} is {row[column]!r}, which is no number", where=f"{path} line {line}", mend=REFETCH)
    return value


def position_of(path: Path, line: int, row: dict[str, str], lat_column: str, lon_column: str) -> tuple[float, float]:
    """Latitude and longitude of a row, in this order, in degrees.

    Raises:
        DataError: naming the line, where they are no position on Earth.
    """
    lat, lon = number_of(path, line, row, lat_column), number_of(path, line, row, lon_column)
    try:
        check_lonlat(lon, lat)
    except InputError as error:
        raise DataError(error.what, where=f"{path} line {line}", mend=REFETCH) from error
    return lat, lon
