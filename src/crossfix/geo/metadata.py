"""What a photo file says of itself: the raw readings, and the prior that they amount to.

Position, altitude and attitude come from the makers' XMP first (DJI, Parrot, senseFly, Pix4D's ``Camera``), then from XMP's copy of EXIF,
then from EXIF. A damaged tag is as good as absent; it never hides the others.

Two attitude conventions are in use. DJI's gimbal and Parrot's ``drone-parrot`` angles are the camera's as we have them: pitch 0 level,
-90 straight down. ``Camera:Pitch`` (Pix4D's vocabulary, written by the Sequoia) and ``sensefly:PitchAngle`` are of an aircraft whose
camera is mounted looking straight down: level flight is 0, nose up is positive. :func:`read_metadata` gives the angle as written;
:func:`read_prior` turns it into the camera's (-90 plus the aircraft's pitch). The aircraft's roll tilts such a camera sideways, which is no
turn about its view direction, so the prior leaves roll out and keeps the aircraft's heading, the bearing of the picture's upper edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from crossfix.errors import InputError
from crossfix.geo.decode import TURNED, open_image, upright_rgb
from crossfix.geo.geodesy import check_lonlat
from crossfix.geo.lens import horizontal_fov
from crossfix.geo.photo import Photo, Prior, Sourced
from crossfix.geo.tags import adobe_coordinate, altitude_reference, degrees_minutes_seconds, number, text
from crossfix.geo.xmp import parse_xmp

_AIRCRAFT = ("xmp:Camera:", "xmp:sensefly:")
"""Sources whose attitude is that of an aircraft with a camera that looks straight down."""


@dataclass(frozen=True)
class Metadata:
    """The readings of one file, as written there; None where the file does not say.

    Args:
        format: Pillow's name of the format: JPEG, MPO, TIFF, PNG...
        width: of the picture as stored, pixels.
        height: of the picture as stored, pixels.
        orientation: EXIF orientation, 1 to 8.
        make: of the camera, empty if unknown.
        model: of the camera, empty if unknown.
        lon: camera position, degrees.
        lat: camera position, degrees.
        accuracy_m: of the position, as the receiver believes.
        altitude_m: above sea level or the ellipsoid; makers differ, so nothing is computed from it.
        relative_altitude_m: above the take-off point or the ground.
        heading_deg: clockwise from north, any turn.
        pitch_deg: in the convention of its source, see the module.
        roll_deg: in the convention of its source.
        focal_mm: focal length.
        focal35_mm: focal length in 35 mm terms.
        fov_deg: horizontal field of view of the upright picture.
    """

    format: str
    width: int
    height: int
    orientation: int | None
    make: str
    model: str
    lon: Sourced | None
    lat: Sourced | None
    accuracy_m: Sourced | None
    altitude_m: Sourced | None
    relative_altitude_m: Sourced | None
    heading_deg: Sourced | None
    pitch_deg: Sourced | None
    roll_deg: Sourced | None
    focal_mm: Sourced | None
    focal35_mm: Sourced | None
    fov_deg: Sourced | None

    def prior(self) -> Prior:
        """What the readings amount to, in our conventions."""
        pitch, roll = self.pitch_deg, self.roll_deg
        if pitch is not None and pitch.source.startswith(_AIRCRAFT):
            pitch, roll = Sourced(pitch.value - 90.0, f"{pitch.source} (aircraft, camera looks down)"), None
        heading = None if self.heading_deg is None else Sourced(self.heading_deg.value % 360.0, self.heading_deg.source)
        height = self.relative_altitude_m
        return Prior(
            lon=self.lon,
            lat=self.lat,
            radius_m=self.accuracy_m,
            height_m=height if height is not None and height.value > 0 else None,
            heading_deg=heading,
            pitch_deg=pitch,
            roll_deg=roll,
            fov_deg=self.fov_deg,
        )


def read_metadata(path: str | Path) -> Metadata:
    """The raw readings of a photo file, without decoding its pixels.

    Args:
        path: JPEG, MPO, TIFF, PNG, WebP, JPEG 2000 or BMP.

    Returns:
        Whatever is legible.

    Raises:
        PhotoError: the file cannot be read or is no picture.
    """
    with open_image(path) as image:
        return _metadata(image)


def read_prior(path: str | Path) -> Prior:
    """What a photo file lets us believe of its camera, without decoding its pixels.

    Args:
        path: as :func:`read_metadata`.

    Returns:
        The prior; empty for a file without metadata.

    Raises:
        PhotoError: the file cannot be read or is no picture.
    """
    return read_metadata(path).prior()


def read_photo(path: str | Path) -> Photo:
    """A photo file's pixels, upright, and its prior.

    Pixels of more than 8 bits are stretched between their 0.5 and 99.5 percentiles; grey becomes three equal channels; transparency is
    dropped; of several frames the first is taken.

    Args:
        path: as :func:`read_metadata`.

    Returns:
        The photo, named after the file.

    Raises:
        PhotoError: the file is missing, empty, truncated, no picture, or larger than we decode.
    """
    with open_image(path) as image:
        metadata = _metadata(image)
        pixels = upright_rgb(image, metadata.orientation, path)
    return Photo(name=Path(path).name, path=Path(path), pixels=pixels, prior=metadata.prior())


def _metadata(image: Image.Image) -> Metadata:
    base, sub, gps, xmp = _tables(image)
    turn = number(base.get(274))
    orientation = int(turn) if turn is not None and turn in range(1, 9) else None
    lon, lat = _position(gps, xmp)
    model = text(base.get(272))
    return Metadata(
        format=image.format or "",
        width=image.width,
        height=image.height,
        orientation=orientation,
        make=text(base.get(271)),
        model=model,
        lon=lon,
        lat=lat,
        accuracy_m=_first(_from_xmp(xmp, ["Camera:GPSXYAccuracy"], _positive), _from_exif(gps, 31, "GPSHPositioningError", _positive)),
        altitude_m=_altitude(gps, xmp),
        relative_altitude_m=_from_xmp(xmp, ["drone-dji:RelativeAltitude", "sensefly:Height", "Camera:AboveGroundAltitude"]),
        heading_deg=_heading(gps, xmp),
        pitch_deg=_from_xmp(xmp, ["drone-dji:GimbalPitchDegree", "drone-parrot:CameraPitchDegree", "Camera:Pitch", "sensefly:PitchAngle"]),
        roll_deg=_from_xmp(xmp, ["drone-dji:GimbalRollDegree", "drone-parrot:CameraRollDegree", "Camera:Roll", "sensefly:RollAngle"]),
        focal_mm=_from_exif(sub, 37386, "FocalLength"),
        focal35_mm=_from_exif(sub, 41989, "FocalLengthIn35mmFilm"),
        fov_deg=horizontal_fov(image.width, image.height, turned=orientation in TURNED, model=model, exif=sub, xmp=xmp),
    )


def _tables(image: Image.Image) -> tuple[dict[int, object], dict[int, object], dict[int, object], dict[str, str]]:
    """EXIF's main, sub and GPS tags, and XMP; empty where damaged. Pillow raises almost anything on damaged EXIF."""
    base: dict[int, object] = {}
    sub: dict[int, object] = {}
    gps: dict[int, object] = {}
    try:
        exif = image.getexif()
        base.update(exif)
    except Exception:
        exif = Image.Exif()
    for table, ifd in ((sub, 0x8769), (gps, 0x8825)):
        try:
            table.update(exif.get_ifd(ifd))
        except Exception:
            table.clear()
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or base.get(700)
    return base, sub, gps, parse_xmp(packet) if isinstance(packet, bytes | str) else {}


def _position(gps: Mapping[int, object], xmp: Mapping[str, str]) -> tuple[Sourced | None, Sourced | None]:
    """The first pair of coordinates that is a position; (0, 0) is what receivers write without a fix."""
    candidates: list[tuple[str, str, float | None, float | None]] = []
    # "GpsLongtitude" is how DJI spelled it for years.
    for lon_name in ("drone-dji:GpsLongitude", "drone-dji:GpsLongtitude"):
        candidates.append(_pair(xmp, lon_name, "drone-dji:GpsLatitude", number))
    candidates.append(_pair(xmp, "drone-dji:Longitude", "drone-dji:Latitude", number))
    candidates.append(_pair(xmp, "sensefly:Longitude", "sensefly:Latitude", number))
    candidates.append(_pair(xmp, "exif:GPSLongitude", "exif:GPSLatitude", adobe_coordinate))
    lon, lat = degrees_minutes_seconds(gps.get(4), gps.get(3), "W"), degrees_minutes_seconds(gps.get(2), gps.get(1), "S")
    candidates.append(("exif:GPSLongitude", "exif:GPSLatitude", lon, lat))
    for lon_source, lat_source, lon, lat in candidates:
        if lon is None or lat is None or (lon == 0 and lat == 0):
            continue
        try:
            check_lonlat(lon, lat)
        except InputError:
            continue
        return Sourced(lon, lon_source), Sourced(lat, lat_source)
    return None, None


def _pair(
    xmp: Mapping[str, str], lon_name: str, lat_name: str, read: Callable[[object], float | None]
) -> tuple[str, str, float | None, float | None]:
    return f"xmp:{lon_name}", f"xmp:{lat_name}", read(xmp.get(lon_name)), read(xmp.get(lat_name))


def _altitude(gps: Mapping[int, object], xmp: Mapping[str, str]) -> Sourced | None:
    maker = _from_xmp(xmp, ["drone-dji:AbsoluteAltitude", "sensefly:AltitudeWGS84"])
    copied = _from_xmp(xmp, ["exif:GPSAltitude"])
    if copied is not None and xmp.get("exif:GPSAltitudeRef") == "1":
        copied = Sourced(-abs(copied.value), copied.source)
    plain = _from_exif(gps, 6, "GPSAltitude")
    if plain is not None and altitude_reference(gps.get(5)) == 1:
        plain = Sourced(-abs(plain.value), plain.source)
    return _first(maker, copied, plain)


def _heading(gps: Mapping[int, object], xmp: Mapping[str, str]) -> Sourced | None:
    """The view direction where anything knows it, else the aircraft's, else the course over ground, which its source says."""
    track = _first(_from_xmp(xmp, ["exif:GPSTrack"]), _from_exif(gps, 15, "GPSTrack"))
    return _first(
        _from_xmp(xmp, ["drone-dji:GimbalYawDegree", "drone-parrot:CameraYawDegree", "Camera:Yaw", "sensefly:Heading"]),
        _magnetic(_from_xmp(xmp, ["exif:GPSImgDirection"]), xmp.get("exif:GPSImgDirectionRef")),
        _magnetic(_from_exif(gps, 17, "GPSImgDirection"), gps.get(16)),
        _from_xmp(xmp, ["drone-dji:FlightYawDegree"]),
        None if track is None else Sourced(track.value, f"{track.source} (course over ground)"),
    )


def _magnetic(direction: Sourced | None, reference: object) -> Sourced | None:
    if direction is None or text(reference).upper()[:1] != "M":
        return direction
    return Sourced(direction.value, f"{direction.source} (magnetic north)")


def _positive(value: object) -> float | None:
    result = number(value)
    return result if result is not None and result > 0 and math.isfinite(result) else None


def _from_xmp(xmp: Mapping[str, str], names: Iterable[str], read: Callable[[object], float | None] = number) -> Sourced | None:
    for name in names:
        value = read(xmp.get(name))
        if value is not None:
            return Sourced(value, f"xmp:{name}")
    return None


def _from_exif(table: Mapping[int, object], tag: int, name: str, read: Callable[[object], float | None] = number) -> Sourced | None:
    value = read(table.get(tag))
    return None if value is None else Sourced(value, f"exif:{name}")


def _first(*readings: Sourced | None) -> Sourced | None:
    return next((reading for reading in readings if reading is not None), None)
