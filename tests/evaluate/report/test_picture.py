"""Pictures as data addresses."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from crossfix.evaluate.report.picture import jpeg_uri


def opened(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(body, validate=True)))


def test_a_picture_comes_back_as_it_is_or_within_a_box():
    picture = np.full((60, 90, 3), (200, 40, 90), np.uint8)
    whole = opened(jpeg_uri(picture, 90))
    assert (whole.format, whole.size) == ("JPEG", (90, 60))
    assert np.abs(np.asarray(whole).astype(int) - picture).max() <= 4
    assert opened(jpeg_uri(picture, 90, within=(30, 30))).size == (30, 20)
    assert opened(jpeg_uri(picture, 90, within=(300, 30))).size == (45, 30)
    assert opened(jpeg_uri(picture, 90, within=(300, 300))).size == (90, 60)
