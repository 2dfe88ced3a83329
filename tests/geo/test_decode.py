from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, TiffImagePlugin

from crossfix.errors import PhotoError
from crossfix.geo import decode
from crossfix.geo.metadata import read_metadata, read_photo

SCENE = np.asarray(
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)).resize((160, 120), Image.Resampling.BICUBIC)
)


def encoded(format_: str, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(SCENE).save(stream, format_, **options)
    return stream.getvalue()


FILES = {
    "JPEG": encoded("JPEG"),
    "progressive": encoded("JPEG", progressive=True),
    "MPO": encoded("MPO", save_all=True, append_images=[Image.fromarray(SCENE[::-1])]),
    "PNG": encoded("PNG"),
    "TIFF": encoded("TIFF"),
    "TIFF-LZW": encoded("TIFF", compression="tiff_lzw"),
    "WEBP": encoded("WEBP"),
}


@pytest.mark.parametrize("name", FILES)
def test_formats_are_read_at_their_first_frame(tmp_path, name):
    (tmp_path / "photo").write_bytes(FILES[name])
    photo = read_photo(tmp_path / "photo")
    assert photo.pixels.shape == SCENE.shape
    assert photo.pixels.dtype == np.uint8
    assert np.abs(photo.pixels.astype(int) - SCENE).mean() < 12
    assert photo.name == "photo"
    assert photo.path == tmp_path / "photo"


@pytest.mark.parametrize("name", ["JPEG", "progressive", "PNG", "TIFF", "TIFF-LZW", "WEBP"])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.75, 0.9, 0.97])
def test_a_file_cut_short_is_refused_and_never_grey(tmp_path, name, share):
    path = tmp_path / "cut.jpg"
    path.write_bytes(FILES[name][: int(share * len(FILES[name]))])
    with pytest.raises(PhotoError, match=r"cut\.jpg"):
        read_photo(path)


def test_a_truncated_jpeg_says_so(tmp_path):
    path = tmp_path / "cut.jpg"
    path.write_bytes(FILES["JPEG"][: len(FILES["JPEG"]) // 2])
    with pytest.raises(PhotoError, match="truncated"):
        read_photo(path)
    assert read_metadata(path).width == 160


@pytest.mark.parametrize("name", ["JPEG", "progressive"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_copy_that_broke_off_and_is_zeros_from_there_is_refused(tmp_path, name, share):
    whole = FILES[name]
    kept = whole[: int(share * len(whole))]
    (tmp_path / "zeros.jpg").write_bytes(kept + bytes(len(whole) - len(kept)))
    with pytest.raises(PhotoError, match="truncated"):
        read_photo(tmp_path / "zeros.jpg")
    (tmp_path / "padded.jpg").write_bytes(whole + bytes(1000))
    assert read_photo(tmp_path / "padded.jpg").width == 160


def test_a_thumbnails_end_is_not_the_pictures(tmp_path):
    path, exif = tmp_path / "thumbnail.jpg", Image.Exif()
    exif[270] = FILES["JPEG"].decode("latin-1")
    content = encoded("JPEG", exif=exif)
    path.write_bytes(content[:-2000] + bytes(2000))
    with pytest.raises(PhotoError, match="truncated"):
        read_photo(path)
    path.write_bytes(content)
    assert read_photo(path).width == 160


def test_a_preview_is_not_taken_for_the_picture(tmp_path):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[254] = 1
    Image.fromarray(SCENE).save(tmp_path / "raw.tif", tiffinfo=tags)
    with pytest.raises(PhotoError, match="preview"):
        read_photo(tmp_path / "raw.tif")


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "empty"), (b"no picture at all", "no picture"), (b"%!PS-Adobe-3.0 EPSF-3.0\n", "no picture")]
)
def test_what_is_no_picture_is_refused(tmp_path, content, words):
    path = tmp_path / "file.jpg"
    path.write_bytes(content)
    with pytest.raises(PhotoError, match=words):
        read_photo(path)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(PhotoError, match="no such photo"):
        read_photo(tmp_path / "missing.jpg")
    with pytest.raises(PhotoError, match="folder"):
        read_photo(tmp_path)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"
    path.write_bytes(FILES["PNG"])
    monkeypatch.setattr(decode, "MAX_PIXELS", 160 * 120 - 1)
    with pytest.raises(PhotoError, match="more than"):
        read_metadata(path)
    monkeypatch.undo()
    head = FILES["PNG"][:16] + (60_000).to_bytes(4, "big") * 2 + FILES["PNG"][24:]
    path.write_bytes(head)
    with pytest.raises(PhotoError):
        read_photo(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_convention_pixels_are_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    stored = Image.fromarray(SCENE)
    stored.save(tmp_path / "turned.png", exif=exif)
    photo = read_photo(tmp_path / "turned.png")
    with Image.open(tmp_path / "turned.png") as picture:
        assert np.array_equal(photo.pixels, np.asarray(ImageOps.exif_transpose(picture)))


def test_sixteen_bits_are_stretched(tmp_path):
    ramp = np.linspace(1000, 5000, 120 * 160).reshape(120, 160).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "deep.tif")
    pixels = read_photo(tmp_path / "deep.tif").pixels
    assert pixels.min() == 0
    assert pixels.max() == 255
    assert np.all(np.diff(pixels[..., 0].ravel().astype(int)) >= 0)
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


def test_floats_with_holes_are_stretched(tmp_path):
    values = np.linspace(-1, 1, 120 * 160, dtype=np.float32).reshape(120, 160)
    values[:10] = np.nan
    values[10, 0] = np.inf
    Image.fromarray(values).save(tmp_path / "float.tif")
    pixels = read_photo(tmp_path / "float.tif").pixels
    assert pixels[0].max() == 0
    assert pixels[10, 0, 0] == 255
    assert 0 < pixels[60, 80, 0] < 255
    Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(tmp_path / "float.tif")
    assert read_photo(tmp_path / "float.tif").pixels.max() == 0


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    suffix = "tif" if mode in ("CMYK", "YCbCr") else "png"
    Image.fromarray(SCENE).convert(mode).save(tmp_path / f"photo.{suffix}")
    assert read_photo(tmp_path / f"photo.{suffix}").pixels.shape == SCENE.shape


@settings(max_examples=300)
@given(st.sampled_from(sorted(FILES)), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8))
def test_damage_gives_a_photo_or_a_photo_error(tmp_path_factory, name, damage):
    content = bytearray(FILES[name])
    for share, value in damage:
        content[int(share * len(content))] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    try:
        photo = read_photo(path)
    except PhotoError:
        return
    assert photo.pixels.ndim == 3
