"""Writes a JPEG that says of itself what a DJI drone's does, so that made photos take the path of real ones."""

from __future__ import annotations

import contextlib
import os
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from crossfix.errors import DiskError
from crossfix.geo.geodesy import check_lonlat

_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="DJI Meta Data" xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"
{attributes}/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def write_drone_jpeg(
    path: str | Path,
    pixels: NDArray[np.uint8],
    *,
    lon: float,
    lat: float,
    altitude_msl_m: float,
    relative_altitude_m: float,
    gimbal_yaw_deg: float,
    gimbal_pitch_deg: float,
    flight_yaw_deg: float,
    focal_mm: float,
    focal35_mm: float,
    gimbal_roll_deg: float = 0.0,
    model: str = "crossfix",
    taken: str = "2026:01:01 12:00:00",
    quality: int = 92,
) -> None:
    """Writes pixels with a drone's EXIF and XMP, atomically.

    :func:`~crossfix.geo.metadata.read_photo` gives back the numbers as they went in: coordinates to 10^-11 degrees, angles and heights to
    6 decimals. EXIF allows only whole millimetres for the focal length in 35 mm terms, so a fraction is written as the focal-plane
    resolution that amounts to it and the 35 mm tag is left out.

    Args:
        path: the file; replaced if it exists.
        pixels: (H, W, 3) uint8 RGB.
        lon: camera position, degrees.
        lat: camera position, degrees.
        altitude_msl_m: metres above sea level.
        relative_altitude_m: metres above take-off.
        gimbal_yaw_deg: degrees clockwise from true north, of the camera.
        gimbal_pitch_deg: degrees, 0 level, -90 straight down.
        flight_yaw_deg: degrees clockwise from true north, of the aircraft.
        focal_mm: focal length in millimetres.
        focal35_mm: focal length in 35 mm terms, the picture's long side being 36 mm.
        gimbal_roll_deg: degrees about the view direction.
        model: EXIF camera model; that of a camera in :data:`~crossfix.geo.lens.SENSORS_MM` overrules ``focal35_mm`` for readers.
        taken: local time as EXIF writes it.
        quality: of the JPEG, 1 to 95.

    Raises:
        InputError: the position is none on Earth.
        DiskError: the file cannot be written.
    """
    check_lonlat(lon, lat, where=path)
    height, width = pixels.shape[:2]
    exif = Image.Exif()
    exif[271], exif[272], exif[274], exif[306] = "DJI", model, 1, taken
    sub: dict[int, object] = {36867: taken, 36868: taken, 37386: _rational(focal_mm), 40962: width, 40963: height}
    if float(focal35_mm).is_integer():
        sub[41989] = int(focal35_mm)
    else:
        sensor_mm = 36.0 * focal_mm / focal35_mm
        sub[41486] = sub[41487] = _rational(max(width, height) / sensor_mm)
        sub[41488] = 4
    exif[0x8769] = sub
    exif[0x8825] = {
        1: "N" if lat >= 0 else "S",
        2: _degrees(abs(lat)),
        3: "E" if lon >= 0 else "W",
        4: _degrees(abs(lon)),
        5: b"\0" if altitude_msl_m >= 0 else b"\1",
        6: _rational(abs(altitude_msl_m)),
    }
    signed = {
        "GpsLatitude": f"{lat:+.11f}",
        "GpsLongitude": f"{lon:+.11f}",
        "AbsoluteAltitude": _signed(altitude_msl_m),
        "RelativeAltitude": _signed(relative_altitude_m),
        "GimbalRollDegree": _signed(gimbal_roll_deg),
        "GimbalYawDegree": _signed(gimbal_yaw_deg),
        "GimbalPitchDegree": _signed(gimbal_pitch_deg),
        "FlightYawDegree": _signed(flight_yaw_deg),
    }
    packet = _PACKET.format(attributes="\n".join(f'   drone-dji:{name}="{value}"' for name, value in signed.items()))
    _save(Path(path), Image.fromarray(pixels), exif, packet.encode(), quality)


def _save(path: Path, image: Image.Image, exif: Image.Exif, xmp: bytes, quality: int) -> None:
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            image.save(file, format="JPEG", quality=quality, exif=exif, xmp=xmp)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise DiskError(f"photo cannot be written ({error.strerror or error})", where=path) from error


def _rational(value: float) -> TiffImagePlugin.IFDRational:
    fraction = Fraction(value).limit_denominator(1_000_000)
    return TiffImagePlugin.IFDRational(fraction.numerator, fraction.denominator)


def _degrees(value: float) -> tuple[TiffImagePlugin.IFDRational, ...]:
    """Degrees, minutes and seconds; seconds to 10^-7, carried where they round up to 60."""
    ticks = round(value * 3600 * 10**7)
    minutes, ticks = divmod(ticks, 60 * 10**7)
    whole, minutes = divmod(minutes, 60)
    return (
        TiffImagePlugin.IFDRational(whole, 1),
        TiffImagePlugin.IFDRational(minutes, 1),
        TiffImagePlugin.IFDRational(ticks, 10**7),
    )


def _signed(value: float) -> str:
    return f"{value:+.6f}"
