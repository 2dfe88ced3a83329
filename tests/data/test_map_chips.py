from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossfix.data.map_chips import DegreeMap, count_chips, cut_map, read_chips, starts
from crossfix.errors import DataError, DiskError, InputError
from crossfix.geo.geodesy import distance_m
from data.drone_trees import CORNERS, gradient, quarters, raster

BOX = CORNERS["01"]
WEST, NORTH, EAST, SOUTH = BOX


@pytest.fixture
def source(tmp_path: Path) -> DegreeMap:
    raster(tmp_path / "map.tif", gradient(300, 200), WEST, SOUTH, EAST, NORTH)
    return DegreeMap(((tmp_path / "map.tif",),), *BOX)


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), dtype=float)


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize(("total", "length"), [(300, 64), (300, 300), (100, 128), (301, 100), (65, 64)])
def test_pieces_cover_the_whole_and_overlap_enough(total: int, length: int, overlap: float):
    first = starts(total, length, overlap)
    covered = {at for start in first for at in range(start, start + length)}
    assert covered >= set(range(total))
    assert first == sorted(set(first))
    assert max(first) + length <= max(total, length)
    assert all(length - (b - a) >= overlap * length for a, b in pairwise(first))


def test_chips_show_what_lies_where_they_say(source: DegreeMap, tmp_path: Path):
    chips = cut_map("01", source, tmp_path / "chips", 64, 0.5)
    assert chips == read_chips("01", tmp_path / "chips")
    for chip in chips:
        pixels = read(tmp_path / "chips" / chip.file)
        assert pixels.shape == (64, 64, 3)
        # Half a level a pixel and a millionth of a degree a pixel; the gradient is cut to whole levels, so a quarter too low on average.
        x, y = (chip.lon - WEST) / 1e-6, (NORTH - chip.lat) / 1e-6
        assert pixels[..., 0].mean() == pytest.approx(x / 2 - 0.5, abs=0.6)
        assert pixels[..., 1].mean() == pytest.approx(y / 2 - 0.5, abs=0.6)
        assert pixels[..., 2].mean() == pytest.approx(90, abs=1)
        assert pixels[:, -1, 0].mean() > pixels[:, 0, 0].mean() + 20, "east is right"
        assert pixels[-1, :, 1].mean() > pixels[0, :, 1].mean() + 20, "south is down"


def test_chips_are_square_on_the_ground(source: DegreeMap, tmp_path: Path):
    for chip in cut_map("01", source, tmp_path, 64, 0.0):
        east, north = chip.width_deg / 2, chip.height_deg / 2
        across = distance_m(chip.lon - east, chip.lat, chip.lon + east, chip.lat)
        along = distance_m(chip.lon, chip.lat - north, chip.lon, chip.lat + north)
        assert along == pytest.approx(64 * 1e-6 * 110_900, rel=1e-3)
        assert chip.side_m == pytest.approx(along, rel=1e-6)
        # Whole columns: off by half a column of 76 at most.
        assert across == pytest.approx(along, rel=0.5 / 76)


def test_chips_cover_the_map_to_its_edges(source: DegreeMap, tmp_path: Path):
    chips = cut_map("01", source, tmp_path, 64, 0.25)
    lon, lat = np.meshgrid(np.linspace(WEST, EAST, 60), np.linspace(SOUTH, NORTH, 40))
    held = np.zeros(lon.shape, bool)
    for chip in chips:
        held |= (abs(lon - chip.lon) <= chip.width_deg / 2 + 1e-12) & (abs(lat - chip.lat) <= chip.height_deg / 2 + 1e-12)
        assert chip.lon - chip.width_deg / 2 >= WEST - 1e-12
        assert chip.lat + chip.height_deg / 2 <= NORTH + 1e-12
        assert chip.lon + chip.width_deg / 2 <= EAST + 1e-12
        assert chip.lat - chip.height_deg / 2 >= SOUTH - 1e-12
    assert held.all()


def test_a_map_in_four_files_is_the_map_in_one(source: DegreeMap, tmp_path: Path):
    for name, part in quarters(gradient(300, 200), 170, 90).items():
        raster(tmp_path / f"{name}.tif", part, 0, 0, 1, 1)
    four = DegreeMap(tuple(tuple(tmp_path / f"0{row}-0{column}.tif" for column in (1, 2)) for row in (1, 2)), *BOX)
    one, other = cut_map("m", source, tmp_path / "one", 64, 0.5), cut_map("m", four, tmp_path / "four", 64, 0.5)
    assert one == other
    for chip in one:
        assert (tmp_path / "one" / chip.file).read_bytes() == (tmp_path / "four" / chip.file).read_bytes()


def test_a_grey_map(tmp_path: Path):
    raster(tmp_path / "grey.tif", gradient(100, 90)[:, :, :1], WEST, SOUTH, EAST, NORTH)
    chip = cut_map("m", DegreeMap(((tmp_path / "grey.tif",),), *BOX), tmp_path, 80, 0.0)[0]
    pixels = read(tmp_path / chip.file)
    assert abs(pixels[..., 0] - pixels[..., 2]).max() <= 3


def test_a_map_smaller_than_a_chip_is_black_beyond(tmp_path: Path):
    raster(tmp_path / "strip.tif", np.full((20, 300, 3), 200, np.uint8), WEST, NORTH - 20e-6, EAST, NORTH)
    strip = DegreeMap(((tmp_path / "strip.tif",),), WEST, NORTH, EAST, NORTH - 20e-6)
    chip = cut_map("m", strip, tmp_path, 64, 0.0)[0]
    pixels = read(tmp_path / chip.file)
    assert pixels[2:17].mean() == pytest.approx(200, abs=3)
    assert pixels[26:].mean() < 3
    assert chip.lat + chip.height_deg / 2 == pytest.approx(NORTH)


def test_parts_that_do_not_fit(tmp_path: Path):
    for name, part in quarters(gradient(300, 200), 170, 90).items():
        raster(tmp_path / f"{name}.tif", part[:, :50] if name == "02-01" else part, 0, 0, 1, 1)
    four = DegreeMap(tuple(tuple(tmp_path / f"0{row}-0{column}.tif" for column in (1, 2)) for row in (1, 2)), *BOX)
    with pytest.raises(DataError, match=r"02-01\.tif: the parts of the map do not fit together"):
        cut_map("m", four, tmp_path, 64, 0.5)


def test_maps_that_cannot_be_read(tmp_path: Path):
    (tmp_path / "map.tif").write_bytes(b"II*\0 half a map")
    source = DegreeMap(((tmp_path / "map.tif",),), *BOX)
    with pytest.raises(DataError, match=r"map\.tif: the map cannot be read"):
        cut_map("m", source, tmp_path / "chips", 64, 0.5)
    raster(tmp_path / "whole.tif", gradient(300, 200), WEST, SOUTH, EAST, NORTH)
    whole = (tmp_path / "whole.tif").read_bytes()
    (tmp_path / "map.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"map\.tif: the map cannot be read"):
        cut_map("m", source, tmp_path / "chips", 64, 0.5)


@pytest.mark.parametrize(
    ("side", "overlap", "said"), [(8, 0.5, "too small"), (64, 1.0, "overlap of 1.0"), (64, float("nan"), "overlap of nan")]
)
def test_senseless_chips_are_refused(source: DegreeMap, tmp_path: Path, side: int, overlap: float, said: str):
    with pytest.raises(InputError, match=said):
        cut_map("m", source, tmp_path, side, overlap)


def test_a_folder_that_cannot_be_written_to(source: DegreeMap, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DiskError, match="the chips cannot be written"):
        cut_map("m", source, tmp_path / "file", 64, 0.5)


def test_a_run_that_did_not_end_leaves_no_list(source: DegreeMap, tmp_path: Path):
    cut_map("m", source, tmp_path, 64, 0.5)
    (tmp_path / "m/m_0000_0000.jpg").unlink()
    (tmp_path / "m/m_0000_0000.jpg").mkdir()
    with pytest.raises(DiskError):
        cut_map("m", source, tmp_path, 64, 0.5)
    with pytest.raises(DataError, match=r"m\.json: there are no chips of this map; cut them: crossfix data chips ROOT"):
        read_chips("m", tmp_path)


def test_a_run_that_was_killed_goes_on_and_gives_the_same(source: DegreeMap, tmp_path: Path):
    whole = cut_map("m", source, tmp_path / "whole", 64, 0.5)

    class Killed(BaseException):
        pass

    def kill(done: int, total: int) -> None:
        assert total == len(whole) == count_chips(source, 64, 0.5)
        if done >= total / 2:
            raise Killed

    with pytest.raises(Killed):
        cut_map("m", source, tmp_path / "cut", 64, 0.5, kill)
    half = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cut/m").iterdir()}
    assert 0 < len(half) < len(whole)
    assert not (tmp_path / "cut/m.json").exists()
    (tmp_path / "cut/m/m_0000_0001.part").write_bytes(b"half a chip")
    told: list[tuple[int, int]] = []
    assert cut_map("m", source, tmp_path / "cut", 64, 0.5, lambda *numbers: told.append(numbers)) == whole
    assert told[-1] == (len(whole), len(whole))
    for name, time in half.items():
        assert (tmp_path / "cut/m" / name).stat().st_mtime_ns == time, "not cut again"
    for chip in whole:
        assert (tmp_path / "cut" / chip.file).read_bytes() == (tmp_path / "whole" / chip.file).read_bytes()
    assert read_chips("m", tmp_path / "cut") == whole
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == ["m", "m.json"]


def test_chips_that_are_all_there_are_left_alone(source: DegreeMap, tmp_path: Path):
    chips = cut_map("m", source, tmp_path, 64, 0.5)
    before = {chip.file: (tmp_path / chip.file).stat().st_mtime_ns for chip in chips}
    assert cut_map("m", source, tmp_path, 64, 0.5) == chips
    assert {chip.file: (tmp_path / chip.file).stat().st_mtime_ns for chip in chips} == before


@pytest.mark.parametrize("killed", [False, True])
def test_chips_of_another_plan_or_map_are_cut_anew(source: DegreeMap, tmp_path: Path, killed: bool):
    cut_map("m", source, tmp_path / "chips", 64, 0.5)
    if killed:
        (tmp_path / "chips/m.json").rename(tmp_path / "chips/m.part.json")
    chips = cut_map("m", source, tmp_path / "chips", 80, 0.5)
    assert {path.name for path in (tmp_path / "chips/m").iterdir()} == {Path(chip.file).name for chip in chips}
    assert all(read(tmp_path / "chips" / chip.file).shape == (80, 80, 3) for chip in chips)
    if killed:
        (tmp_path / "chips/m.json").rename(tmp_path / "chips/m.part.json")
    raster(tmp_path / "map.tif", 255 - gradient(300, 200), WEST, SOUTH, EAST, NORTH)
    again = cut_map("m", source, tmp_path / "chips", 80, 0.5)
    assert again == chips
    assert read(tmp_path / "chips" / again[0].file)[..., 2].mean() == pytest.approx(165, abs=2)


def test_damaged_lists(source: DegreeMap, tmp_path: Path):
    chips = cut_map("m", source, tmp_path, 64, 0.5)
    (tmp_path / chips[3].file).unlink()
    with pytest.raises(DataError, match=rf"m\.json: names {chips[3].file}, which is not there; cut the chips again"):
        read_chips("m", tmp_path)
    told = json.loads((tmp_path / "m.json").read_text())
    for damaged in ("{", "[]", json.dumps(told | {"chips": [{"file": "x"}]})):
        (tmp_path / "m.json").write_text(damaged)
        with pytest.raises(DataError, match="the list of chips is damaged"):
            read_chips("m", tmp_path)
    (tmp_path / "m.json").write_text(json.dumps(told | {"format": 2}))
    with pytest.raises(DataError, match="has format 2, not 1"):
        read_chips("m", tmp_path)
