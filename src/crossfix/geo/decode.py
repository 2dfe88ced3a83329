"""Picture files to upright RGB pixels, and every way a file can be bad as one sentence."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from crossfix.errors import PhotoError

FORMATS = ("JPEG", "TIFF", "PNG", "WEBP", "JPEG2000", "BMP")
"""Pillow's formats that we open. Others are left out because no camera writes them and some (EPS) run programs.

MPO, several JPEGs in one file, opens as JPEG."""

MAX_PIXELS = 178_956_970
"""The largest picture we decode (half a gigabyte as RGB): Pillow's own hard limit, twice its warning."""

_SUBFILE_TYPE = 254

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


def upright_rgb(image: Image.Image, orientation: int | None, path: str | Path) -> NDArray[np.uint8]:
    """Decodes a picture.

    Args:
        image: as :func:`open_image` yields it.
        orientation: EXIF orientation; None is upright.
        path: the file, for the message.

    Returns:
        (H, W, 3) uint8 RGB, upright.

    Raises:
        PhotoError: the file ends early or is damaged.
    """
    if image.format in ("JPEG", "MPO") and not _has_end(Path(path).read_bytes()):
        raise PhotoError("photo is truncated (the picture has no end)", where=path, mend="copy it from the camera again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
            rgb = image.convert("RGB") if image.mode not in _DEEP else Image.fromarray(_stretch(np.asarray(image))).convert("RGB")
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


def _has_end(jpeg: bytes) -> bool:
    """Whether an end marker follows the beginning of the picture's data; markers of thumbnails inside segments do not count.

    A copy that broke off may have its full size, the rest being zeros, and those decode to a picture that is grey or worse.
    """
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker == 0xFF:  # padding before a marker
            at += 1
            continue
        if marker == 0xDA:  # start of scan
            break
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return jpeg.rfind(b"\xff\xd9") > at


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
