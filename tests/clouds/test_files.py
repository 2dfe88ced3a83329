"""Every format there and back, and every way in which a file can be wrong."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crossfix.clouds.cloud import Cloud
from crossfix.clouds.colmap_points import rounded
from crossfix.clouds.files import read_cloud, write_cloud
from crossfix.disk import write_json
from crossfix.errors import DataError, DiskError, InputError


@pytest.fixture
def cloud() -> Cloud:
    rng = np.random.default_rng(0)
    return Cloud(rng.normal(0, 50, (40, 3)) + np.array([576_700, 5_188_150, 160]), rng.integers(0, 256, (40, 3), dtype=np.uint8), "enu")


def _saved(save: Callable[..., None], *arrays: object, **named: object) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


def same(a: Cloud, b: Cloud) -> bool:
    if (a.rgb_N3 is None) != (b.rgb_N3 is None):
        return False
    return np.array_equal(a.xyz_N3, b.xyz_N3) and (a.rgb_N3 is None or np.array_equal(a.rgb_N3, b.rgb_N3))


@pytest.mark.parametrize("name", ["points3D.txt", "points3D.bin", "cloud.ply", "cloud.npz"])
def test_a_cloud_is_read_as_it_was_written_to_the_last_bit(name: str, cloud: Cloud, tmp_path: Path) -> None:
    write_cloud(tmp_path / name, cloud)
    found = read_cloud(tmp_path / name)
    assert same(found, cloud)
    assert found.frame == ("free" if name.startswith("points3D") else "enu")
    assert [path.name for path in tmp_path.iterdir()] == [name]  # no temporary file is left


@pytest.mark.parametrize(("name", "text"), [("a.ply", False), ("a.ply", True), ("a.npz", False)])
def test_a_cloud_without_colours_stays_without(name: str, text: bool, cloud: Cloud, tmp_path: Path) -> None:
    plain = Cloud(cloud.xyz_N3, None, "level")
    write_cloud(tmp_path / name, plain, text=text)
    assert same(read_cloud(tmp_path / name), plain)
    assert read_cloud(tmp_path / name).frame == "level"


def test_ascii_ply_is_as_exact_as_binary(cloud: Cloud, tmp_path: Path) -> None:
    write_cloud(tmp_path / "a.ply", cloud, text=True)
    assert same(read_cloud(tmp_path / "a.ply"), cloud)
    assert (tmp_path / "a.ply").read_bytes().isascii()


def test_colmap_files_without_colours_are_grey(cloud: Cloud, tmp_path: Path) -> None:
    write_cloud(tmp_path / "points3D.bin", Cloud(cloud.xyz_N3))
    rgb = read_cloud(tmp_path / "points3D.bin").rgb_N3
    assert rgb is not None
    assert (rgb == 128).all()


def test_a_folder_stands_for_its_points_and_its_note_says_the_frame(cloud: Cloud, tmp_path: Path) -> None:
    write_cloud(tmp_path / "0001_group0" / "points3D.txt", cloud)
    write_json(tmp_path / "0001_group0" / "cloud.json", {"frame": "enu"})
    assert read_cloud(tmp_path / "0001_group0").frame == "enu"
    with pytest.raises(DataError, match=r"points3D\.txt"):
        read_cloud(tmp_path)
    (tmp_path / "0001_group0" / "cloud.json").write_text("{")
    with pytest.raises(DataError, match=r"0001_group0/cloud\.json: cannot be read"):
        read_cloud(tmp_path / "0001_group0")


def test_the_published_text_is_read_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "points3D.txt"
    path.write_text("# one\n# two\n# three\n7 1.5 -2e-3 3 10 20 30 0.25 1 5 2 9\n\n9 4 5 6 255 0 1 1.0\n")
    found = read_cloud(path)
    assert found.xyz_N3.tolist() == [[1.5, -0.002, 3], [4, 5, 6]]
    assert found.rgb_N3 is not None
    assert found.rgb_N3.tolist() == [[10, 20, 30], [255, 0, 1]]


def test_three_lines_stand_before_the_points(cloud: Cloud, tmp_path: Path) -> None:
    """GeoLink's loader skips three lines without looking at them, and takes columns 1 to 6."""
    write_cloud(tmp_path / "points3D.txt", cloud)
    table = np.loadtxt(tmp_path / "points3D.txt", skiprows=3, usecols=range(1, 7), comments=None)
    np.testing.assert_array_equal(table, np.column_stack([cloud.xyz_N3, cloud.rgb_N3]))


def test_binary_tracks_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "points3D.bin"
    content = struct.pack("<Q", 2)
    for number, track in ((3, 2), (8, 0)):
        content += struct.pack("<Q3d3BdQ", number, 1.0 * number, 2, 3, 4, 5, 6, 0.5, track) + struct.pack("<II", 1, 2) * track
    path.write_bytes(content)
    assert read_cloud(path).xyz_N3.tolist() == [[3, 2, 3], [8, 2, 3]]


HEAD = "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\n"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("points3D.txt", b"", "no point"),
        ("points3D.txt", b"1 1 2 3 10 20 30\n", "line 1 (7 columns"),
        ("points3D.txt", b"1 1 2 3 10 20 30 0.5 1\n", "line 1 (9 columns"),
        ("points3D.txt", b"1 1 2 3 10 20 300 0.5\n", "line 1"),
        ("points3D.txt", b"# x\n1 1 2 3 0.5 0.2 0.1 0.5\n", "line 2"),
        ("points3D.txt", b"1 1 2 3 10 20 30 -\n", "line 1"),
        ("points3D.txt", b"1 1 nan 3 10 20 30 0.5\n", "NaN"),
        ("points3D.txt", b"1 0.9 0.1 0.1 0.2 1 2 3 1 a.jpg\n", "not a points3D file"),
        ("points3D.txt", b"\xff\xfe\x00", "no text"),
        ("points3D.bin", b"", "count"),
        ("points3D.bin", struct.pack("<Q", 5), "count"),
        ("points3D.bin", struct.pack("<Q", 0), "no point"),
        ("points3D.bin", struct.pack("<Q", 1) + struct.pack("<Q3d3BdQ", 1, 1, 2, 3, 4, 5, 6, 0.5, 9), "too early"),
        ("points3D.bin", struct.pack("<Q", 1) + struct.pack("<Q3d3BdQ", 1, 1, 2, 3, 4, 5, 6, 0.5, 0) + b"more", "goes on"),
        ("points3D.bin", struct.pack("<Q", 1) + struct.pack("<Q3d3BdQ", 1, np.nan, 2, 3, 4, 5, 6, 0.5, 0), "NaN"),
        ("a.ply", b"", "not a PLY file"),
        ("a.ply", b"ply\nformat ascii 1.0\n", "does not end"),
        ("a.ply", b"ply\nformat ascii 2.0\nend_header\n", "ascii 2.0"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex many\nend_header\n", "element vertex many"),
        ("a.ply", b"ply\nformat ascii 1.0\nproperty float x\nend_header\n", "property float x"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement face 0\nend_header\n", "without vertices"),
        ("a.ply", HEAD.encode() + b"end_header\n1 2 3\n", "too early"),
        ("a.ply", (HEAD + "property float x\nend_header\n").replace("ascii", "binary_big_endian").encode() + bytes(32), "of one name"),
        ("a.ply", HEAD.encode() + b"end_header\n1 2 3\n1 2\n", "uneven"),
        ("a.ply", HEAD.encode() + b"end_header\n1 2 3\n1 2 x\n", "no number"),
        ("a.ply", HEAD.encode() + b"end_header\n1 2 3\n1 2 nan\n", "NaN"),
        ("a.ply", HEAD.replace("ascii", "binary_little_endian").encode() + b"end_header\n1234", "4 bytes of 24"),
        (
            "a.ply",
            (HEAD + "property float red\nproperty float green\nproperty float blue\nend_header\n" + "1 2 3 0 0 0\n" * 2).encode(),
            "uchar",
        ),
        ("a.ply", (HEAD + "property list uchar int k\nend_header\n").encode(), "list"),
        ("a.npz", b"PK", "npz"),
        ("a.npz", _saved(np.save, np.zeros((2000, 3))), "no npz file"),
        ("a.npz", _saved(np.savez, xyz=np.array([{}])), "Object arrays"),
        ("a.npz", _saved(np.savez, points=np.zeros((2000, 3))), "no array named xyz"),
        ("a.npz", _saved(np.savez, xyz=np.array(["a"])), "convert"),
        ("a.xyz", b"1 2 3", ".xyz"),
    ],
)
def test_a_wrong_file_is_refused_in_a_sentence_that_names_it(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((DataError, InputError)) as error:
        read_cloud(tmp_path / name)
    assert told in str(error.value)
    assert str(tmp_path / name) in str(error.value)


@pytest.mark.parametrize("name", ["points3D.txt", "points3D.bin", "a.ply", "a.npz"])
def test_a_file_cut_off_anywhere_is_refused(name: str, cloud: Cloud, tmp_path: Path) -> None:
    write_cloud(tmp_path / name, cloud)
    content = (tmp_path / name).read_bytes()
    for end in range(5, len(content) - 8, max(1, len(content) // 37)):
        # A text that ends with a whole line cannot be told from a smaller cloud.
        last = content[:end].rsplit(b"\n", 1)[-1]
        if name.endswith(".txt") and content.count(b"\n", 0, end) > 3 and (not last or last.endswith(b" -1")):
            continue
        (tmp_path / name).write_bytes(content[:end])
        with pytest.raises(DataError):
            read_cloud(tmp_path / name)


def test_elements_before_the_vertices_are_passed_over(tmp_path: Path) -> None:
    head = "ply\nformat {}\ncomment made by hand\nelement camera 2\nproperty short a\nproperty double b\nelement vertex 1\n"
    head += (
        "property uchar red\nproperty uchar green\nproperty uchar blue\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    )
    (tmp_path / "a.ply").write_text(head.format("ascii 1.0") + "1 2\n3 4\n7 8 9 1.5 2.5 3.5\n")
    body = {order: struct.pack(f"{order}hdhdBBBfff", 1, 2, 3, 4, 7, 8, 9, 1.5, 2.5, 3.5) for order in "<>"}
    (tmp_path / "b.ply").write_bytes(head.format("binary_little_endian 1.0").encode() + body["<"] + b"faces follow")
    (tmp_path / "c.ply").write_bytes(head.format("binary_big_endian 1.0").encode() + body[">"])
    for name in "abc":
        found = read_cloud(tmp_path / f"{name}.ply")
        assert found.xyz_N3.tolist() == [[1.5, 2.5, 3.5]]
        assert found.rgb_N3 is not None
        assert found.rgb_N3.tolist() == [[7, 8, 9]]
        assert found.frame == "free"


def test_what_cannot_be_written_is_told(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError):
        write_cloud(tmp_path / "file" / "a.ply", cloud)
    with pytest.raises(InputError, match="xyz"):
        write_cloud(tmp_path / "a.xyz", cloud)
    with pytest.raises(DataError, match="missing"):
        read_cloud(tmp_path / "missing.ply")


def test_rounding_keeps_a_millionth_of_the_extent() -> None:
    rng = np.random.default_rng(0)
    for extent in (1e-3, 1.0, 260.0, 5e6):
        xyz = rng.uniform(0, extent, (100, 3))
        assert np.abs(rounded(xyz) - xyz).max() <= 1e-6 * extent
    assert rounded(np.array([[19.340123456, 0, 0], [120, 0, 0]]))[0, 0] == 19.3401
