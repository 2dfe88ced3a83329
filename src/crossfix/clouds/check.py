"""Whether the clouds of some places are there and fit for use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from crossfix.clouds.files import read_cloud
from crossfix.clouds.layout import find_clouds
from crossfix.clouds.sampling import POINTS
from crossfix.errors import DataError


def check_clouds(folder: Path, places: Iterable[str], *, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Read the clouds of some places.

    Args:
        folder: of all clouds.
        places: that should have one.
        progress: told the clouds read and in all.

    Returns:
        JSON values: numbers of places and clouds, and findings, each with ``where`` and ``what``.

    Raises:
        DataError: there is no such folder.
    """
    clouds = find_clouds(folder, places)
    findings = [{"where": place, "what": "has no cloud"} for place in clouds.missing]
    files = [file for of_place in clouds.files.values() for file in of_place]
    for done, file in enumerate(files, start=1):
        try:
            points = len(read_cloud(file))
            if points < POINTS:
                findings.append({"where": str(file), "what": f"has {points:,} points, fewer than {POINTS:,}"})
        except DataError as error:
            findings.append({"where": str(file), "what": error.what})
        if progress:
            progress(done, len(files))
    return {"folder": str(folder), "places": len(clouds.files) + len(clouds.missing), "clouds": len(files), "findings": findings}
