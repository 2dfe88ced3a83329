"""A point cloud: positions, colours if there are any, and what its axes mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from crossfix.errors import DataError

Points = npt.NDArray[np.float64]
Colours = npt.NDArray[np.uint8]
Frame = Literal["enu", "level", "free"]
#: No coordinate of a place, in any unit, is larger; squares of larger ones leave float32 and soon float64.
_LARGEST = 1e15


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points of one place, in no order that means anything.

    Attributes:
        xyz_N3: (N, 3) float64 in the units of the frame.
        rgb_N3: (N, 3) uint8, None for a cloud without colours.
        frame: "enu": metres, x east, y north, z up, the origin any point. "level": no unit, z up, heading and origin whatever the
            reconstruction chose. "free": no unit and no direction known, as a reconstruction leaves it (of VGGT: x right, y down, z forward
            of the first camera).

    Raises:
        DataError: no points, a shape or frame that is none, a coordinate that is NaN, infinite or larger than any place.
    """

    xyz_N3: Points
    rgb_N3: Colours | None = None
    frame: Frame = "free"

    def __post_init__(self) -> None:
        xyz = np.ascontiguousarray(self.xyz_N3, np.float64)
        if xyz.ndim != 2 or xyz.shape[1] != 3:
            raise DataError(f"points of shape {xyz.shape} are not (N, 3)")
        if not len(xyz):
            raise DataError("the cloud holds no point")
        bad = ~np.isfinite(xyz).all(axis=1)
        if bad.any():
            raise DataError(f"{bad.sum():,} of {len(xyz):,} points are NaN or infinite, the first is number {int(bad.argmax()) + 1}")
        if (largest := float(np.abs(xyz).max())) > _LARGEST:
            raise DataError(f"a coordinate of {largest:.3g} is larger than any place, {_LARGEST:g} at most")
        object.__setattr__(self, "xyz_N3", xyz)
        if self.rgb_N3 is not None and (self.rgb_N3.shape != xyz.shape or self.rgb_N3.dtype != np.uint8):
            raise DataError(f"colours of shape {self.rgb_N3.shape} and type {self.rgb_N3.dtype} do not go with {len(xyz):,} points")
        frame_named(self.frame)

    def __len__(self) -> int:
        return len(self.xyz_N3)

    @property
    def unit(self) -> str:
        """The letter m, or nothing where the scale means nothing."""
        return "m" if self.frame == "enu" else ""

    def take(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Cloud:
        """Some of the points, in the order asked for.

        Args:
            rows: numbers of points, or a mask (N,).
        """
        return Cloud(self.xyz_N3[rows], None if self.rgb_N3 is None else self.rgb_N3[rows], self.frame)


def frame_named(name: str) -> Frame:
    """A frame by its name.

    Raises:
        DataError: there is none of this name.
    """
    if name not in get_args(Frame):
        raise DataError(f"no frame is called {name!r}", mend=f"choose one of {', '.join(get_args(Frame))}")
    return cast("Frame", name)
