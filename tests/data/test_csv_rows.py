from __future__ import annotations

from pathlib import Path

import pytest

from crossfix.data.csv_rows import number_of, position_of, read_rows
from crossfix.errors import DataError


def test_rows_with_the_numbers_of_their_lines(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_bytes("\ufeffname , lat,lon,angle\r\n\r\na.jpg, 1.5 ,2,\r\n,,,\r\nb.jpg,3,4\r\n".encode())
    rows = list(read_rows(path, ("name", "lat")))
    assert rows == [(3, {"name": "a.jpg", "lat": "1.5", "lon": "2", "angle": ""}), (5, {"name": "b.jpg", "lat": "3", "lon": "4"})]
    assert number_of(path, *rows[0], "lat") == 1.5
    assert position_of(path, *rows[0], "lat", "lon") == (1.5, 2.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"t\.csv: has no column name"),
        (b"nom\na.jpg\n", r"t\.csv: has no column name"),
        (b"name,lat\na.jpg,1\n,2\n", r"t\.csv line 3: has no name"),
        (b"name\n\xff\xfe\n", r"t\.csv: cannot be read"),
    ],
)
def test_tables_that_cannot_serve(tmp_path: Path, content: bytes, said: str):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=said):
        list(read_rows(tmp_path / "t.csv", ("name",)))


def test_a_table_that_is_not_there(tmp_path: Path):
    with pytest.raises(DataError, match=r"t\.csv: is missing"):
        list(read_rows(tmp_path / "t.csv", ()))


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "1,5"])
def test_what_is_no_number(tmp_path: Path, text: str):
    with pytest.raises(DataError, match=r"t\.csv line 7: lat is .* no number"):
        number_of(tmp_path / "t.csv", 7, {"lat": text}, "lat")


def test_a_position_off_the_earth(tmp_path: Path):
    with pytest.raises(DataError, match=r"t\.csv line 7: longitude 200 is not between"):
        position_of(tmp_path / "t.csv", 7, {"lat": "1", "lon": "200"}, "lat", "lon")
