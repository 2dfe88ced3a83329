"""Clouds for the Rerun viewer, to be turned and walked through; needs the extra ``rerun``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from crossfix.clouds.cloud import Cloud
from crossfix.disk import disk, part_of
from crossfix.errors import InputError

_FAR = 10_000.0  # the viewer has float32: from here on a point would be off by more than half a millimetre


def write_recording(path: Path, cloud: Cloud, name: str) -> tuple[float, float, float]:
    """Write a cloud as a recording that ``rerun FILE`` opens.

    Args:
        path: an ``.rrd`` file; appears whole or not at all.
        cloud: the cloud; up is up in the viewer where its frame says what is up.
        name: of the recording.

    Returns:
        What was taken off all positions: whole metres, zero unless they are far from their origin.

    Raises:
        InputError: rerun-sdk is not installed.
        DiskError: it cannot be written.
    """
    try:
        import rerun
    except ImportError as error:
        raise InputError("rerun-sdk is not installed", where=path, mend="install crossfix[rerun], or give a .png to draw it") from error
    rr: Any = rerun
    far = len(cloud) > 0 and float(np.abs(cloud.xyz_N3).max()) > _FAR
    off_3 = np.round(np.median(cloud.xyz_N3, axis=0)) if far else np.zeros(3)
    part = part_of(path)
    with disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()  # where it cannot be, rerun would only log that
        try:
            stream = rr.RecordingStream("crossfix", recording_id=name)
            stream.save(part)
            if cloud.frame != "free":
                stream.log("/", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
            stream.log("cloud", rr.Points3D((cloud.xyz_N3 - off_3).astype(np.float32), colors=cloud.rgb_N3), static=True)
            stream.flush()
            stream.disconnect()
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return float(off_3[0]), float(off_3[1]), float(off_3[2])
