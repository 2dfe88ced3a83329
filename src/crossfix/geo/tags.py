"""Numbers out of EXIF and XMP values that may be of any type, damaged or absurd.

Every function here returns None for what is no usable number and never raises: one bad tag must not hide the good ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

_ADOBE = re.compile(r"^\s*(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?(?:,(\d+(?:\.\d+)?))?\s*([NSEWnsew])\s*$")


def number(value: object) -> float | None:
    """A finite number from a rational, a number, a one-element sequence, or text such as ``+40.00`` and ``1763/10``."""
    if isinstance(value, bytes | bytearray):
        return None
    if isinstance(value, str):
        top, slash, bottom = value.strip().partition("/")
        try:
            result = float(top) / float(bottom) if slash else float(top)
        except (ValueError, ZeroDivisionError):
            return None
    elif isinstance(value, Sequence):
        return number(value[0]) if len(value) == 1 else None
    else:
        try:
            result = float(value)  # type: ignore[arg-type]  # Pillow's rationals convert; whatever does not is caught
        except (TypeError, ValueError, ZeroDivisionError, OverflowError):
            return None
    return result if math.isfinite(result) else None


def text(value: object) -> str:
    """Text of a tag without padding; empty for what is no text."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return value.split("\0")[0].strip() if isinstance(value, str) else ""


def altitude_reference(value: object) -> int:
    """0 above, 1 below sea level; 0 where the reference is missing or damaged, as nearly all photos are taken above."""
    if isinstance(value, bytes):
        return 1 if value == b"\x01" else 0
    return 1 if value == 1 else 0


def degrees_minutes_seconds(value: object, reference: object, negative: str) -> float | None:
    """A coordinate from EXIF.

    Args:
        value: one to three rationals: degrees, minutes, seconds.
        reference: the hemisphere letter; without one the sign is unknown and so is the coordinate.
        negative: the letter of the negative hemisphere, S or W.
    """
    letter = text(reference).upper()[:1]
    if letter not in ("N", "S") and letter not in ("E", "W"):
        return None
    parts = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else (value,)
    numbers = [number(part) for part in parts]
    if not 1 <= len(numbers) <= 3 or any(part is None or part < 0 for part in numbers):
        return None
    degrees = sum((part or 0.0) / 60.0**power for power, part in enumerate(numbers))
    return -degrees if letter == negative else degrees


def adobe_coordinate(value: object) -> float | None:
    """A coordinate in XMP's notation, ``degrees,minutes.fractionS`` or ``degrees,minutes,secondsW``, or a signed decimal."""
    if not isinstance(value, str):
        return None
    match = _ADOBE.match(value)
    if match is None:
        return number(value)
    degrees = sum(float(part) / 60.0**power for power, part in enumerate(match.groups()[:3]) if part)
    return -degrees if match.group(4).upper() in "SW" else degrees
