"""The type that all of the room hands around."""

from __future__ import annotations

import numpy as np
import pytest

from crossfix.clouds.cloud import Cloud
from crossfix.errors import DataError


def test_only_a_cloud_in_metres_has_a_unit() -> None:
    assert [Cloud(np.zeros((2, 3)), frame=frame).unit for frame in ("enu", "level", "free")] == ["m", "", ""]


def test_taking_rows_takes_their_colours() -> None:
    cloud = Cloud(np.arange(12.0).reshape(4, 3), np.arange(12, dtype=np.uint8).reshape(4, 3), "enu")
    part = cloud.take(np.array([3, 1]))
    assert part.xyz_N3.tolist() == [[9, 10, 11], [3, 4, 5]]
    assert part.rgb_N3 is not None
    assert part.rgb_N3.tolist() == [[9, 10, 11], [3, 4, 5]]
    assert part.frame == "enu"


@pytest.mark.parametrize(
    ("xyz", "rgb", "frame", "told"),
    [
        (np.array([[0, 0, 0], [0, np.nan, 0], [np.inf, 0, 0]]), None, "enu", "2 of 3 points are NaN or infinite, the first is number 2"),
        (np.array([[0, 0, 0], [0, -1e200, 0]]), None, "free", "a coordinate of 1e+200 is larger than any place"),
        (np.zeros((0, 3)), None, "enu", "no point"),
        (np.zeros((4, 2)), None, "enu", "(4, 2)"),
        (np.zeros((4, 3)), np.zeros((3, 3), np.uint8), "enu", "colours"),
        (np.zeros((4, 3)), np.zeros((4, 3)), "enu", "float64"),
        (np.zeros((4, 3)), None, "utm", "no frame is called 'utm'"),
    ],
)
def test_what_is_no_cloud_is_refused(xyz: np.ndarray, rgb: np.ndarray | None, frame: str, told: str) -> None:
    with pytest.raises(DataError) as error:
        Cloud(xyz, rgb, frame)  # type: ignore[arg-type]
    assert told in str(error.value)
