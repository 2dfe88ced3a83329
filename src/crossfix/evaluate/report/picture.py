"""Pictures inside a page, as data addresses."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image


def jpeg_uri(picture_HWC: npt.NDArray[np.uint8], quality: int, *, within: tuple[int, int] | None = None) -> str:
    """A picture as a data address, JPEG.

    Args:
        picture_HWC: RGB.
        quality: JPEG's, 1 to 95.
        within: most pixels across and down, to which a larger picture shrinks; None keeps its size.
    """
    image = Image.fromarray(picture_HWC)
    if within is not None:
        image.thumbnail(within, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
