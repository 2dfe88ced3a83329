"""What a drone, a phone and a satellite make of a picture: a JPEG with the metadata of such a device, and with its errors."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from rasterio.errors import RasterioError

from crossfix.errors import DiskError
from crossfix.geo.drone_exif import write_drone_jpeg
from crossfix.worlds.epoch import Epoch
from crossfix.worlds.poses import Kind, Pose
from crossfix.worlds.world import World

Rgb = npt.NDArray[np.uint8]

DRONE_GPS_M, PHONE_GPS_M = 1.5, 4.0
"""Standard deviation of a measured position, an axis."""
DRONE_YAW_DEG, PHONE_COMPASS_DEG = 2.0, 8.0
"""Standard deviation of a measured heading."""
GIMBAL_PITCH_DEG = 0.2
BAROMETER_M = 1.0
GROUND_MSL_M = 400.0
"""Height above sea level of the plane z = 0."""

_QUALITY = 92
_CROP = 36.0 / 6.4  # a 1/2.3-inch sensor against 35 mm film


def store_photo(path: Path, rgb: Rgb, world: World, epoch: Epoch, pose: Pose, kind: Kind, rng: np.random.Generator) -> None:
    """Write a picture as its device would.

    Args:
        path: the JPEG.
        rgb: (H, W, 3).
        world: where it was taken.
        epoch: when.
        pose: how; its exact numbers go into the metadata with the device's errors.
        kind: the device; satellite images carry no metadata.
        rng: of the errors.

    Raises:
        DiskError: the file cannot be written.
    """
    if kind == "drone":
        _store_drone(path, rgb, world, epoch, pose, rng)
    elif kind == "ground":
        _save(path, rgb, _phone_exif(world, epoch, pose, rng))
    else:
        _save(path, rgb, Image.Exif())


def _store_drone(path: Path, rgb: Rgb, world: World, epoch: Epoch, pose: Pose, rng: np.random.Generator) -> None:
    camera = pose.camera
    lon, lat = _measured_position(world, pose, DRONE_GPS_M, rng)
    yaw = camera.heading_deg + rng.normal(0, DRONE_YAW_DEG)
    above_take_off = camera.up_m - float(world.ground_height(0.0, 0.0))
    write_drone_jpeg(
        path,
        rgb,
        lon=lon,
        lat=lat,
        altitude_msl_m=round(GROUND_MSL_M + camera.up_m + rng.normal(0, 5.0), 2),
        relative_altitude_m=round(above_take_off + rng.normal(0, BAROMETER_M), 2),
        gimbal_yaw_deg=round(_signed(yaw), 1),
        gimbal_pitch_deg=round(max(-90.0, camera.pitch_deg + rng.normal(0, GIMBAL_PITCH_DEG)), 1),
        flight_yaw_deg=round(_signed(yaw + rng.normal(0, 5.0)), 1),
        focal_mm=round(pose.focal35_mm / _CROP, 2),
        focal35_mm=pose.focal35_mm,
        taken=_taken(epoch),
        quality=_QUALITY,
    )


def _phone_exif(world: World, epoch: Epoch, pose: Pose, rng: np.random.Generator) -> Image.Exif:
    lon, lat = _measured_position(world, pose, PHONE_GPS_M, rng)
    heading = (pose.camera.heading_deg + rng.normal(0, PHONE_COMPASS_DEG)) % 360
    exif = Image.Exif()
    exif[271], exif[272], exif[274], exif[306] = "crossfix", "phone", 1, _taken(epoch)
    exif[0x8769] = {36867: _taken(epoch), 37386: round(pose.focal35_mm / _CROP, 2), 41989: pose.focal35_mm}
    exif[0x8825] = {
        1: "N" if lat >= 0 else "S",
        2: _degrees(lat),
        3: "E" if lon >= 0 else "W",
        4: _degrees(lon),
        16: "T",
        17: round(heading, 1),
    }
    return exif


def _measured_position(world: World, pose: Pose, deviation_m: float, rng: np.random.Generator) -> tuple[float, float]:
    east, north = rng.normal(0, deviation_m, 2)
    return world.frame.to_lonlat(float(pose.camera.east_m + east), float(pose.camera.north_m + north))


def _signed(angle_deg: float) -> float:
    return float((angle_deg + 180) % 360 - 180)


def _degrees(value: float) -> tuple[float, float, float]:
    whole, rest = divmod(abs(value), 1)
    minutes, rest = divmod(rest * 60, 1)
    return whole, minutes, round(rest * 60, 6)


def _taken(epoch: Epoch) -> str:
    """A date and hour that go with the epoch's season (0 is the middle of April, 1 that of January) and sun."""
    day = datetime(2025, 4, 15) + timedelta(days=int(275 * epoch.season), hours=epoch.sun_azimuth_deg / 15)
    return f"{day:%Y:%m:%d %H:%M:%S}"


def _save(path: Path, rgb: Rgb, exif: Image.Exif) -> None:
    with whole_file(path) as temporary:
        Image.fromarray(rgb).save(temporary, "JPEG", quality=_QUALITY, exif=exif)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside a file that becomes the file when the block ends well, and is removed when it does not.

    Args:
        path: the file.

    Raises:
        DiskError: it cannot be written.
    """
    with writing(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the system says of a failed write into one sentence.

    Args:
        path: what is being written.

    Raises:
        DiskError: the block raised an error of the file system or of the raster library.
    """
    try:
        yield
    except (OSError, RasterioError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DiskError(f"cannot be written ({reason})", where=path, mend="check the folder and the free space") from error
