"""Makes the clouds of a data set's places, cloud by cloud; goes on where it was killed, and tells in the end what it made."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crossfix.clouds.backend import Backend, Built, NoCloudError
from crossfix.clouds.cloud import Cloud
from crossfix.clouds.colmap_points import rounded
from crossfix.clouds.draw import draw_sheet
from crossfix.clouds.files import NOTE, POINTS_TEXT, read_cloud, read_note, write_cloud
from crossfix.clouds.layout import group_folder, view_groups, view_key
from crossfix.clouds.sampling import POINTS
from crossfix.disk import sha256, write_bytes, write_json
from crossfix.errors import DataError, DiskError, InputError

Report = Callable[[int, int], None]
PLAN, REPORT, PICTURE = "plan.json", "report.json", "samples.png"
_SAMPLES = 12
#: What every whole ``cloud.json`` tells, as far as this room asks.
_TOLD = frozenset({"place", "group", "points", "views", "registered", "files", "cameras"})


@dataclass(frozen=True)
class Job:
    """A cloud to be made."""

    place: str
    group: int
    views: tuple[Path, ...]

    @property
    def key(self) -> str:
        """Its name."""
        return f"{self.place}_group{self.group}"


def plan_jobs(views: Iterable[tuple[str, Path]], groups: int, most: int | None = None) -> list[Job]:
    """The clouds of a data set.

    Args:
        views: place and file of every drone view, those of a place in the order of the flight.
        groups: clouds a place.
        most: views a cloud.

    Raises:
        InputError: no groups, or less than one view for each.
        DataError: there are no views.
    """
    if groups < 1 or (most is not None and most < 1):
        what = f"{groups} groups of clouds" + ("" if most is None else f" of {most} views")
        raise InputError(what, mend="give --groups and --views of at least 1")
    places: dict[str, list[Path]] = {}
    for place, path in views:
        places.setdefault(place, []).append(path)
    if not places:
        raise DataError("the data set has no drone views")
    return [
        Job(place, group, tuple(part)) for place, paths in places.items() for group, part in enumerate(view_groups(paths, groups, most))
    ]


def build_clouds(
    folder: Path, jobs: Sequence[Job], backend: Backend, *, plan: Mapping[str, Any] | None = None, progress: Report | None = None
) -> dict[str, Any]:
    """Make the clouds that are missing, then write ``report.json`` and ``samples.png``.

    Each cloud is a folder ``PLACE_groupG`` with ``points3D.txt`` as GeoLink reads it and ``cloud.json``: its frame, the views, how many of
    them were registered, and the checksum of its points. A cloud that cannot be made is reported and tried again the next time; one that
    is damaged, or whose ``cloud.json`` is, is made again.

    Args:
        folder: of the clouds.
        jobs: what is wanted.
        backend: what makes them.
        plan: what else decides over the clouds, such as data set and split.
        progress: told the clouds done and in all.

    Returns:
        The report: clouds made and failed, failures by reason, and for each cloud points, views and views registered.

    Raises:
        DataError: the folder holds clouds of another plan, or some that crossfix did not make.
        DiskError: it cannot be written.
    """
    _claim(folder, {"format": 1, "backend": backend.name, **(plan or {}), "options": backend.options()})
    rows: list[dict[str, Any]] = []
    failures: list[dict[str, str]] = []
    if progress:
        progress(0, len(jobs))
    for done, job in enumerate(jobs, start=1):
        try:
            rows.append(_finished(folder, job) or _make(folder, job, backend))
        except NoCloudError as error:
            failures.append({"place": job.place, "group": str(job.group), "reason": error.reason, "what": str(error)})
        if progress:
            progress(done, len(jobs))
    report = _report(folder, backend, jobs, rows, failures)
    write_json(folder / REPORT, report)
    if rows:
        write_bytes(folder / PICTURE, draw_sheet(list(_samples(folder, rows))))
    return report


def _make(folder: Path, job: Job, backend: Backend) -> dict[str, Any]:
    start = time.perf_counter()
    built: Built = backend.reconstruct(job.views, job.key)
    cloud = replace(built.cloud, xyz_N3=rounded(built.cloud.xyz_N3))
    place = group_folder(folder, job.place, job.group)
    write_cloud(place / POINTS_TEXT, cloud)
    row = {
        "place": job.place,
        "group": job.group,
        "frame": cloud.frame,
        "points": len(cloud),
        "views": built.views,
        "registered": built.registered,
        **{name: float(value) for name, value in built.facts.items() if np.isfinite(value)},
        "seconds": round(time.perf_counter() - start, 3),
        "sha256": sha256(place / POINTS_TEXT),
        "files": [view.name for view in job.views],
        "eyes": [None if np.isnan(eye).any() else [float(number) for number in eye] for eye in built.seen_from_V3],
        "cameras": _cameras(job, built),
    }
    # Last: with it the cloud is whole.
    write_json(place / NOTE, row)
    return row


def _cameras(job: Job, built: Built) -> dict[str, list[float]]:
    """Projections, row by row, of the views whose cameras are known, by `view_key`."""
    if built.cameras_V34 is None:
        return {}
    every = zip(job.views, built.cameras_V34, strict=True)
    known = ((view_key(view), camera_34) for view, camera_34 in every if np.isfinite(camera_34).all())
    return {key: [float(f"{number:.9g}") for number in camera_34.ravel()] for key, camera_34 in known}


def _finished(folder: Path, job: Job) -> dict[str, Any] | None:
    place = group_folder(folder, job.place, job.group)
    if not (place / NOTE).is_file() or not (place / POINTS_TEXT).is_file():
        return None
    try:
        row = read_note(place / NOTE)
    except DataError:
        return None
    # Clouds of before cameras were kept are made again.
    if not row.keys() >= _TOLD or row["files"] != [view.name for view in job.views]:
        return None
    # Those of before the checksum was kept are taken as they are.
    return row if row.get("sha256") in {None, sha256(place / POINTS_TEXT)} else None


def _claim(folder: Path, plan: dict[str, Any]) -> None:
    """Make the folder this plan's own; a plan that nothing was made by binds nobody."""
    plan = json.loads(json.dumps(plan))
    path = folder / PLAN
    if path.is_file() and read_note(path) == plan:
        return
    try:
        found = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    except OSError as error:
        raise DiskError(f"cannot be read ({error.strerror})", where=folder, mend="check its permissions") from error
    if PLAN in found and found != {PLAN}:
        raise DataError("holds clouds of another plan", where=folder, mend="delete them, or give another folder with --out")
    if found - {PLAN}:
        raise DataError("holds files that crossfix did not make", where=folder, mend="give another folder with --out")
    write_json(path, plan)


def _report(
    folder: Path, backend: Backend, jobs: Sequence[Job], rows: list[dict[str, Any]], failures: list[dict[str, str]]
) -> dict[str, Any]:
    made = {row["place"] for row in rows}
    return {
        "folder": str(folder),
        "backend": backend.name,
        "places": len({job.place for job in jobs}),
        "places_without_cloud": sorted({job.place for job in jobs} - made),
        "clouds": len(rows),
        "failed": len(failures),
        "failures": dict(Counter(failure["reason"] for failure in failures)),
        "points": {"least": min((r["points"] for r in rows), default=0), "most": max((r["points"] for r in rows), default=0)},
        "fewer_than_1024_points": sum(row["points"] < POINTS for row in rows),
        "views": sum(row["views"] for row in rows),
        "registered": sum(row["registered"] for row in rows),
        "rows": [{name: value for name, value in row.items() if name not in {"sha256", "files", "eyes", "cameras"}} for row in rows],
        "failed_rows": failures,
    }


def _samples(folder: Path, rows: list[dict[str, Any]]) -> Iterator[tuple[str, Cloud]]:
    for number in sorted({round(i) for i in np.linspace(0, len(rows) - 1, min(_SAMPLES, len(rows)))}):
        row = rows[number]
        yield f"{row['place']} group {row['group']}", read_cloud(group_folder(folder, row["place"], row["group"]))
