"""LAS and LAZ files, through laspy, which the extra ``crossfix[las]`` brings with lazrs.

Positions are taken as metres east, north, up, as every projected survey has them; colours are 16 bit, or 8 bit as many programs write them.
"""

from __future__ import annotations

import importlib
import io
from typing import Any

import numpy as np

from crossfix.clouds.cloud import Cloud
from crossfix.errors import DataError, InputError

_SCALE_M = 1e-4


def parse_las(content: bytes) -> Cloud:
    """Read a LAS or LAZ file.

    Raises:
        InputError: laspy is not installed.
        DataError: the file is damaged, or as :class:`Cloud`.
    """
    laspy = _laspy()
    try:
        found = laspy.read(io.BytesIO(content))
        xyz = np.asarray(found.xyz, np.float64)
        names = set(found.point_format.dimension_names)
        rgb = np.stack([np.asarray(found[name]) for name in ("red", "green", "blue")], 1) if {"red", "green", "blue"} <= names else None
    except Exception as error:  # laspy and its Rust half raise many kinds
        raise DataError(f"is not a LAS or LAZ file that can be read ({error})") from error
    if rgb is not None:
        rgb = (rgb >> 8 if rgb.max(initial=0) > 255 else rgb).astype(np.uint8)
    return Cloud(xyz, rgb, "enu")


def format_las(cloud: Cloud, *, packed: bool) -> bytes:
    """A cloud as a LAS 1.4 file, positions to a tenth of a millimetre.

    Args:
        cloud: in metres.
        packed: LAZ.

    Raises:
        InputError: laspy is not installed, or the cloud is not in metres: the format has no other unit.
    """
    if cloud.frame != "enu":
        raise InputError("a cloud without metres cannot be a LAS file", mend="write .ply or .npz")
    laspy = _laspy()
    header = laspy.LasHeader(point_format=7, version="1.4")
    header.offsets, header.scales = np.floor(cloud.xyz_N3.min(axis=0)), np.full(3, _SCALE_M)
    data = laspy.LasData(header)
    data.x, data.y, data.z = cloud.xyz_N3.T
    if cloud.rgb_N3 is not None:
        data.red, data.green, data.blue = (cloud.rgb_N3.astype(np.uint16) * 257).T
    file = io.BytesIO()
    data.write(file, do_compress=packed)
    return file.getvalue()


def _laspy() -> Any:  # noqa: ANN401 - a module that may not be there
    try:
        return importlib.import_module("laspy")
    except ImportError as error:
        raise InputError("LAS and LAZ files need the laspy package", mend="install crossfix[las], or convert the cloud to PLY") from error
