"""Field of view from what a photo says of its lens.

The readings, best first: a focal length in pixels from the maker's calibration, a focal length on a sensor we know, the focal length in
35 mm terms, and the focal-plane resolution. A picture of another shape than EXIF recorded was cropped, and its field of view is unknown.
For the 35 mm reading the picture's long side is taken as 36 mm: the standard asks for the diagonal, but the cameras we could check
against a calibration or the sensor's size lie closer to the width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from crossfix.geo.photo import Sourced
from crossfix.geo.tags import number

SENSORS_MM: dict[str, tuple[float, float]] = {
    "FC300C": (6.317, 4.738),  # Phantom 3
    "FC300S": (6.317, 4.738),
    "FC300X": (6.317, 4.738),
    "FC330": (6.317, 4.738),  # Phantom 4
    "FC350": (6.317, 4.738),  # Zenmuse X3
    "FC550": (17.3, 13.0),  # Zenmuse X5
    "FC6520": (17.3, 13.0),  # Zenmuse X5S
    "FC6310": (13.2, 8.8),  # Phantom 4 Pro
    "FC6310S": (13.2, 8.8),
    "FC6310R": (13.2, 8.8),  # Phantom 4 RTK
    "L1D-20c": (13.2, 8.8),  # Mavic 2 Pro
    "FC3411": (13.2, 8.8),  # Air 2S
    "ZenmuseP1": (35.9, 24.0),
}
"""Width and height of the sensors of common drone cameras by EXIF model, millimetres."""

_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # FocalPlaneResolutionUnit


def horizontal_fov(
    width: int, height: int, *, turned: bool, model: str, exif: Mapping[int, object], xmp: Mapping[str, str]
) -> Sourced | None:
    """Horizontal field of view of the upright picture.

    Args:
        width: of the picture as stored, pixels.
        height: of the picture as stored, pixels.
        turned: whether making it upright swaps width and height.
        model: the EXIF camera model.
        exif: the tags of the EXIF sub-IFD by number.
        xmp: as :func:`~crossfix.geo.xmp.parse_xmp` gives it.

    Returns:
        Degrees with the reading that they come from, or None where nothing usable is known.
    """
    reading = _focal_in_long_sides(width, height, model, exif, xmp)
    if reading is None:
        return None
    focal_px = reading.value * max(width, height)
    across = height if turned else width
    fov = 2 * math.degrees(math.atan(across / 2 / focal_px))
    return Sourced(fov, reading.source) if 0.1 < fov < 175 else None


def _focal_in_long_sides(width: int, height: int, model: str, exif: Mapping[int, object], xmp: Mapping[str, str]) -> Sourced | None:
    """The focal length as a multiple of the picture's long side, whatever size the picture was reduced to."""
    recorded = [number(exif.get(tag)) or 0.0 for tag in (40962, 40963)]  # ExifImageWidth, ExifImageHeight
    shape = max(width, height) / min(width, height)
    if min(recorded) > 0 and abs(max(recorded) / min(recorded) / shape - 1) > 0.03:
        return None  # cropped since it was taken: by how much nobody says
    recorded_long = max(recorded) if min(recorded) > 0 else float(max(width, height))
    calibrated = number(xmp.get("drone-dji:CalibratedFocalLength"))
    if calibrated is not None and 0.2 < calibrated / recorded_long < 50:
        return Sourced(calibrated / recorded_long, "xmp:drone-dji:CalibratedFocalLength")
    focal = number(exif.get(37386)) or 0.0
    focal *= max(number(exif.get(41988)) or 1.0, 1.0)  # DigitalZoomRatio
    sensor = SENSORS_MM.get(model)
    if focal > 0 and sensor is not None:
        # A picture of another shape than the sensor keeps one side whole: the one that leaves the smaller pixels.
        pitch = min(sensor[0] / max(width, height), sensor[1] / min(width, height))
        return Sourced(focal / (pitch * max(width, height)), f"exif:FocalLength on the sensor of {model}")
    focal35 = number(exif.get(41989)) or 0.0
    if focal35 > 0:
        return Sourced(focal35 / 36.0, "exif:FocalLengthIn35mmFilm")
    per_unit = number(exif.get(41486)) or 0.0
    unit_mm = _UNIT_MM.get(int(number(exif.get(41488)) or 2.0))
    if focal > 0 and per_unit > 0 and unit_mm is not None:
        return Sourced(focal * per_unit / unit_mm / recorded_long, "exif:FocalPlaneXResolution")
    return None
