from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crossfix.errors import DiskError, MapIndexError, ModelError
from crossfix.index import build
from crossfix.index.build import build_index
from crossfix.index.store import MapIndex
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap
from rasters import town
from toy_describer import ToyDescriber

TESTS = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(build, "SHARD_ROWS", 100)


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_descriptors_are_those_of_the_chips(raster, describer, plan, tmp_path):
    seen = []
    with GeoMap.open([raster]) as geomap:
        index = build_index(geomap, describer, tmp_path / "a.cfx", plan, progress=lambda *at: seen.append(at), batch=7)
        table = plan.chips(geomap)
        expected = describer.describe([geomap.read_square(*row, describer.input_px).filled() for row in table])
    assert len(index) == len(table) > 300
    np.testing.assert_array_equal(index.chips.lon, table.lon)
    np.testing.assert_allclose(index.descriptors[:].astype(np.float32), expected, atol=1e-3)
    assert seen[-1] == (len(table), len(table))
    assert seen == sorted(seen)


@pytest.mark.parametrize("stop", [0, 5, 30, 52])
def test_interrupted_build_resumes_to_the_same_bytes(raster, describer, plan, tmp_path, stop):
    class Stopped(Exception):  # noqa: N818
        pass

    reports = []

    def report(done, total):
        reports.append(done)
        if len(reports) > stop:
            raise Stopped

    with GeoMap.open([raster]) as geomap:
        whole = build_index(geomap, describer, tmp_path / "whole.cfx", plan, batch=8)
        with pytest.raises(Stopped):
            build_index(geomap, describer, tmp_path / "other.cfx", plan, progress=report, batch=8)
        with pytest.raises(MapIndexError, match="no finished"):
            MapIndex.open(tmp_path / "other.cfx")
        again = []
        build_index(geomap, describer, tmp_path / "other.cfx", plan, progress=lambda done, _: again.append(done), batch=8)
    assert again[0] == reports[-1] // 100 * 100 + 8 or reports[-1] < 100
    assert contents(tmp_path / "whole.cfx") == contents(tmp_path / "other.cfx")
    assert len(whole.descriptors.shards) > 3


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from toy_describer import ToyDescriber
from crossfix.index import build
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap
build.SHARD_ROWS = 100
def report(done, total):
    if done > 250:
        os.kill(os.getpid(), signal.SIGKILL)
build.build_index(GeoMap.open([{raster!r}]), ToyDescriber(), {out!r}, TilingPlan((40.0, 100.0)), progress=report, batch=8)
"""


def test_killed_process_resumes_to_the_same_bytes(raster, describer, plan, tmp_path):
    out = tmp_path / "killed.cfx"
    script = KILLED.format(tests=str(TESTS), raster=str(raster), out=str(out))
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    # What a kill in the middle of a write leaves: a part of a file, a part of a line, a finished file that no line tells of.
    (out / "descriptors" / ".000002.npy.part").write_bytes(b"half")
    (out / "descriptors" / "000002.npy").write_bytes(b"unheard of")
    with (out / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"name": "descriptors/000002.npy", "ro')
    with GeoMap.open([raster]) as geomap:
        build_index(geomap, describer, tmp_path / "whole.cfx", plan, batch=8)
        build_index(geomap, describer, out, plan, batch=8)
    assert contents(tmp_path / "whole.cfx") == contents(out)


def test_damaged_file_of_an_unfinished_build_is_made_again(raster, describer, plan, tmp_path):
    out = tmp_path / "a.cfx"

    def stop(done, total):
        if done > 250:
            raise KeyboardInterrupt

    with GeoMap.open([raster]) as geomap:
        with pytest.raises(KeyboardInterrupt):
            build_index(geomap, describer, out, plan, progress=stop)
        shard = out / "descriptors" / "000001.npy"
        shard.write_bytes(shard.read_bytes()[:-5] + b"xxxxx")
        build_index(geomap, describer, out, plan)
        build_index(geomap, describer, tmp_path / "whole.cfx", plan)
    assert contents(tmp_path / "whole.cfx") == contents(out)


def test_finished_index_is_reused_and_others_are_refused(raster, describer, plan, tmp_path):
    class Counting(ToyDescriber):
        calls = 0

        def describe(self, images):
            self.calls += 1
            return super().describe(images)

    out, counting = tmp_path / "a.cfx", Counting()
    other_raster = town(tmp_path / "other.tif", seed=3)
    with GeoMap.open([raster]) as geomap, GeoMap.open([other_raster]) as other_map:
        build_index(geomap, counting, out, plan)
        calls, before = counting.calls, contents(out)
        build_index(geomap, counting, out, plan)
        assert counting.calls == calls
        for arguments in (
            (geomap, ToyDescriber(sha256="1" * 64), plan),
            (geomap, describer, TilingPlan((40.0,))),
            (other_map, describer, plan),
        ):
            with pytest.raises(MapIndexError, match=r"another map, model or tiling plan.*--overwrite"):
                build_index(arguments[0], arguments[1], out, arguments[2])
        assert contents(out) == before
        replaced = build_index(other_map, describer, out, TilingPlan((100.0,)), overwrite=True)
        fresh = build_index(other_map, describer, tmp_path / "b.cfx", TilingPlan((100.0,)))
    assert replaced.manifest == fresh.manifest
    assert contents(out) == contents(tmp_path / "b.cfx")


def test_unfinished_index_of_another_plan_is_refused(raster, describer, plan, tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with GeoMap.open([raster]) as geomap:
        with pytest.raises(KeyboardInterrupt):
            build_index(geomap, describer, tmp_path / "a.cfx", plan, progress=stop)
        with pytest.raises(MapIndexError, match="unfinished map index of another"):
            build_index(geomap, describer, tmp_path / "a.cfx", TilingPlan((50.0,)))
        assert len(build_index(geomap, describer, tmp_path / "a.cfx", TilingPlan((50.0,)), overwrite=True)) > 100


def test_moved_raster_is_found_by_building_again(raster, describer, plan, tmp_path):
    with GeoMap.open([raster]) as geomap:
        build_index(geomap, describer, tmp_path / "a.cfx", plan)
    (tmp_path / "elsewhere").mkdir()
    moved = raster.rename(tmp_path / "elsewhere" / "town.tif")
    with GeoMap.open([moved]) as geomap:
        index = build_index(geomap, describer, tmp_path / "a.cfx", plan)
    with index.geomap() as found:
        assert found.paths == [moved]


@pytest.mark.parametrize("overwrite", [False, True])
def test_foreign_folders_and_files_are_never_touched(raster, describer, plan, tmp_path, overwrite):
    folder, file = tmp_path / "photos", tmp_path / "notes.txt"
    folder.mkdir()
    (folder / "chips.parquet").write_text("mine")
    file.write_text("mine")
    with GeoMap.open([raster]) as geomap:
        for out in (folder, file):
            with pytest.raises(MapIndexError, match="-o"):
                build_index(geomap, describer, out, plan, overwrite=overwrite)
    assert [path.name for path in folder.iterdir()] == ["chips.parquet"]
    assert file.read_text() == (folder / "chips.parquet").read_text() == "mine"


def test_two_builds_do_not_share_a_folder(raster, describer, plan, tmp_path):
    out = tmp_path / "a.cfx"
    with GeoMap.open([raster]) as geomap:

        def second(done, total):
            build_index(geomap, describer, out, plan)

        with pytest.raises(MapIndexError, match="another build"):
            build_index(geomap, describer, out, plan, progress=second)


def test_descriptors_that_are_not_finite_are_refused(raster, plan, tmp_path):
    class Broken(ToyDescriber):
        def describe(self, images):
            return super().describe(images) * np.nan

    with GeoMap.open([raster]) as geomap, pytest.raises(ModelError, match="finite"):
        build_index(geomap, Broken(), tmp_path / "a.cfx", plan)


def refused_by_disk(geomap, describer, out, plan):
    with pytest.raises(DiskError) as caught:
        build_index(geomap, describer, out, plan)
    assert not (out / "manifest.json").exists()
    assert not list(out.rglob("*.part"))
    with pytest.raises(MapIndexError):
        MapIndex.open(out)
    return caught.value


@pytest.mark.parametrize("limit", [3000, 9000, 40000])
def test_file_size_limit_leaves_nothing_that_looks_whole(raster, describer, plan, tmp_path, limit, monkeypatch):
    """The system refuses for real to write more than so many bytes into a file; lifted, the build goes on."""
    monkeypatch.setattr(build, "SHARD_ROWS", 350)
    out = tmp_path / "a.cfx"
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    with GeoMap.open([raster]) as geomap:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, old[1]))
        try:
            error = refused_by_disk(geomap, describer, out, plan)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
        assert str(out) in str(error)
        build_index(geomap, describer, out, plan)
        build_index(geomap, describer, tmp_path / "whole.cfx", plan)
    assert contents(tmp_path / "whole.cfx") == contents(out)


@pytest.fixture
def tiny_disk(tmp_path):
    """Makes disks of so many kilobytes; needs the right to mount."""
    mounted = []

    def make(kilobytes: int) -> Path:
        folder = tmp_path / f"disk{kilobytes}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        if os.name != "posix" or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no right to mount a small disk here")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("kilobytes", [8, 24, 48, 64, 80])
def test_full_disk_leaves_nothing_that_looks_whole(raster, describer, plan, tmp_path, tiny_disk, kilobytes):
    disk = tiny_disk(kilobytes)
    with GeoMap.open([raster]) as geomap:
        error = refused_by_disk(geomap, describer, disk / "a.cfx", plan)
        assert "No space left on device" in str(error)
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        build_index(geomap, describer, disk / "a.cfx", plan)
        build_index(geomap, describer, tmp_path / "whole.cfx", plan)
    ours, whole = contents(disk / "a.cfx"), contents(tmp_path / "whole.cfx")
    assert {name: ours[name] for name in ours if name != "manifest.json"} == {
        name: whole[name] for name in whole if name != "manifest.json"
    }


def test_folder_that_cannot_be_made(raster, describer, plan, tmp_path):
    (tmp_path / "file").touch()
    with GeoMap.open([raster]) as geomap, pytest.raises(DiskError):
        build_index(geomap, describer, tmp_path / "file" / "a.cfx", plan)


def test_manifest_is_plain(index, raster):
    manifest = json.loads((index.path / "manifest.json").read_text())
    assert manifest["format"] == "crossfix map index"
    assert manifest["version"] == 1
    assert manifest["count"] == len(index)
    assert manifest["plan"] == {"sides_m": [40.0, 100.0], "overlap": 0.5}
    assert manifest["rasters"][0]["relative"] == "../town.tif"
    assert not (index.path / "journal.jsonl").exists()
