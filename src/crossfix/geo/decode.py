"""Picture files to upright RGB pixels, and every way a file can be bad as one sentence."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from crossfix.errors import PhotoError
from crossfix.geo.tags import number

FORMATS = ("JPEG", "TIFF", "PNG", "WEBP", "JPEG2000", "BMP")
"""Pillow's formats that we open. Others are left out because no camera writes them and some (EPS) run programs.

MPO, several JPEGs in one file, opens as JPEG."""

MAX_PIXELS = 178_956_970
"""The largest picture we decode (half a gigabyte as RGB): Pillow's own hard limit, twice its warning."""

_SUBFILE_TYPE, _ORIENTATION = 254, 274

TURNED = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@contextmanager
def open_image(path: str | Path) -> Iterator[Image.Image]:
    """Opens a picture file without decoding it, and names what is wrong with one that cannot be opened.

    Args:
        path: the file.

    Yields:
        The picture, at its first frame.

    Raises:
        PhotoError: missing, a folder, not readable, empty, of no format we open, damaged in its head, a mere preview, or too large.
    """
    path = Path(path)
    if path.is_dir():
        raise PhotoError("is a folder, not a photo", where=path)
    try:
        size = path.stat().st_size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of damaged EXIF and of sizes that we allow
            image = Image.open(path, formats=FORMATS)
    except FileNotFoundError:
        raise PhotoError("no such photo", where=path) from None
    except PermissionError:
        raise PhotoError("photo may not be read", where=path, mend="check its permissions") from None
    except Image.DecompressionBombError:
        raise PhotoError(f"photo has more than {MAX_PIXELS} pixels", where=path, mend="reduce it first") from None
    except UnidentifiedImageError:
        if size == 0:
            raise PhotoError("photo is empty (0 bytes)", where=path) from None
        raise PhotoError(
            f"no picture that we can read ({', '.join(FORMATS)}), or its head is damaged", where=path, mend="convert it to JPEG"
        ) from None
    except Exception as error:  # Pillow raises almost anything on damaged files
        raise PhotoError(f"photo is damaged ({_reason(error)})", where=path) from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise PhotoError(f"photo has more than {MAX_PIXELS} pixels", where=path, mend="reduce it first")
        if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(_SUBFILE_TYPE) == 1:
            raise PhotoError("the file's first picture is only a preview, as in raw files", where=path, mend="convert it to JPEG")
        yield image


DecodeJpeg = Callable[[bytes], NDArray[np.uint8] | None]
"""A JPEG file's bytes to (H, W, 3) uint8 RGB as stored, EXIF orientation not looked at; None where it cannot."""


def read_pixels(path: str | Path, jpeg: DecodeJpeg | None = None) -> NDArray[np.uint8]:
    """A picture file's pixels, upright, without its metadata, which takes half as long to read as a small picture.

    Args:
        path: JPEG, MPO, TIFF, PNG, WebP, JPEG 2000 or BMP.
        jpeg: a faster decoder of plain JPEGs, asked once all checks are passed; where it gives up, Pillow decodes and says what is wrong.

    Returns:
        (H, W, 3) uint8 RGB, the same as :func:`~crossfix.geo.metadata.read_photo` gives.

    Raises:
        PhotoError: as :func:`open_image` and :func:`upright_rgb`.
    """
    with open_image(path) as image:
        return upright_rgb(image, _orientation(image), path, jpeg)


def _orientation(image: Image.Image) -> int | None:
    """EXIF orientation, None where there is none that makes sense."""
    try:
        turn = number(image.getexif().get(_ORIENTATION))
    except Exception:  # Pillow raises almost anything on damaged EXIF
        return None
    return int(turn) if turn is not None and turn in range(1, 9) else None


def upright_rgb(image: Image.Image, orientation: int | None, path: str | Path, jpeg: DecodeJpeg | None = None) -> NDArray[np.uint8]:
    """Decodes a picture.

    Args:
        image: as :func:`open_image` yields it.
        orientation: EXIF orientation; None is upright.
        path: the file.
        jpeg: as for :func:`read_pixels`.

    Returns:
        (H, W, 3) uint8 RGB, upright.

    Raises:
        PhotoError: the file ends early or is damaged.
    """
    if image.format in ("JPEG", "MPO"):
        stored = Path(path).read_bytes()
        if not _has_end(stored):
            raise PhotoError("photo is truncated (the picture has no end)", where=path, mend="copy it from the camera again")
        if jpeg is not None and image.mode in ("RGB", "L") and orientation in (None, 1) and _is_one_scan(stored):
            decoded = jpeg(stored)
            if decoded is not None and decoded.shape == (image.height, image.width, 3):
                return decoded
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
            rgb = _rgb(image)
        if orientation in _UPRIGHT:
            rgb = rgb.transpose(_UPRIGHT[orientation])
        pixels: NDArray[np.uint8] = np.array(rgb)
        return pixels
    except MemoryError:
        raise PhotoError(f"photo of {image.width} x {image.height} pixels does not fit in memory", where=path) from None
    except Exception as error:
        reason = _reason(error)
        what = "photo is truncated" if "truncated" in reason or "broken data" in reason else "photo is damaged"
        raise PhotoError(f"{what} ({reason})", where=path, mend="copy it from the camera again") from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    return image.convert("RGB") if image.mode not in _DEEP else Image.fromarray(_stretch(np.asarray(image))).convert("RGB")


def _has_end(jpeg: bytes) -> bool:
    """Whether an end marker follows the beginning of the picture's data; markers of thumbnails inside segments do not count.

    A copy that broke off may have its full size, the rest being zeros, and those decode to a picture that is grey or worse.
    """
    return jpeg.rfind(b"\xff\xd9") > _scan_start(jpeg)


def _is_one_scan(jpeg: bytes) -> bool:
    """Whether the picture's data is one piece up to the end marker: any other marker within is of a progressive picture, or damage.

    Damage of this kind stops libjpeg; Pillow says so, others hand out what there is.
    """
    stored = np.frombuffer(jpeg, np.uint8)[_scan_start(jpeg) + 2 :]
    after = stored[np.flatnonzero(stored[:-1] == 0xFF) + 1]
    markers = after[(after != 0x00) & (after != 0xFF) & ((after < 0xD0) | (after > 0xD7))]
    return len(markers) > 0 and bool(markers[0] == 0xD9)


def _scan_start(jpeg: bytes) -> int:
    """Where the start-of-scan marker stands, or where the chain of segments breaks off."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker == 0xFF:  # padding before a marker
            at += 1
            continue
        if marker == 0xDA:
            break
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return at


_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def _stretch(grey: NDArray[np.generic]) -> NDArray[np.uint8]:
    """8 bits from more, between the 0.5 and 99.5 percentiles of the finite pixels."""
    values = grey.astype(np.float32)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return np.zeros(grey.shape, dtype=np.uint8)
    low, high = np.percentile(finite[:: max(1, finite.size // 1_000_000)], (0.5, 99.5))
    scaled = (np.nan_to_num(values, nan=float(low), posinf=float(high), neginf=float(low)) - low) / max(float(high - low), 1e-6)
    stretched: NDArray[np.uint8] = np.rint(np.clip(scaled, 0.0, 1.0) * 255.0).astype(np.uint8)
    return stretched


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
