"""The clouds of a training's places: read and sampled once, kept beside the run, drawn for every batch.

Axes: M clouds, N points of each, C channels, T entries of a neighbour table, J pairs of a batch, P clouds of a batch.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from crossfix.clouds.align import upright
from crossfix.clouds.cloud import Cloud
from crossfix.clouds.degrade import degrade
from crossfix.clouds.files import NOTE, read_cloud
from crossfix.clouds.layout import find_clouds
from crossfix.clouds.sampling import keyed_rng, sample, to_unit_sphere
from crossfix.disk import write_bytes
from crossfix.errors import DataError
from crossfix.models.point_groups import make_table
from crossfix.train.geolink import GeoLinkTraining
from crossfix.train.keys import numpy_generator
from crossfix.train.source import Rows

if TYPE_CHECKING:
    from crossfix.train.cameras import ViewCameras

Report = Callable[[int, int], None]
_END_BYTES = 1 << 14
_NAMED = 5  # clouds that cannot be used, in the results by name
_TABLES = 64  # made at a time
_SPOILT_POINTS = 30_000  # at most are left of a cloud that is spoilt


class Drawn(NamedTuple):
    """The clouds of a batch.

    Attributes:
        pts_PNC: as the 3D branch takes them.
        table_PT: their neighbour tables.
        row_P: which pair of the batch each belongs to.
        xyz_PN3: the same points in metres about the place; NaN where nobody knows metres.
        north_P: bool, whether x is east and y is north.
    """

    pts_PNC: torch.Tensor
    table_PT: torch.Tensor
    row_P: torch.Tensor
    xyz_PN3: torch.Tensor
    north_P: torch.Tensor


@dataclass(frozen=True, eq=False)
class TrainingClouds:
    """Sampled clouds.

    Attributes:
        pts_MNC: float32; six channels where colours are wanted.
        table_MT: int16.
        centre_M3: what was subtracted, in the cloud's units.
        radius_M: what positions were divided by.
        metres_M: bool, whether a cloud is in metres, x east and y north of its place.
        rows: which of them belong to each place, by the place's name.
        report: JSON values: how many places have clouds and how many clouds cannot be used, and why.
    """

    pts_MNC: torch.Tensor
    table_MT: torch.Tensor
    centre_M3: torch.Tensor
    radius_M: torch.Tensor
    metres_M: torch.Tensor
    rows: dict[str, tuple[int, ...]]
    report: dict[str, Any]

    def take(self, cloud_P: Rows, row_P: Rows) -> Drawn:
        """Some clouds by number, for some pairs of a batch."""
        some = torch.from_numpy(cloud_P)
        pts_PNC, metres_P = self.pts_MNC[some], self.metres_M[some]
        xyz_PN3 = pts_PNC[..., :3] * self.radius_M[some, None, None] + self.centre_M3[some, None]
        xyz_PN3 = torch.where(metres_P[:, None, None], xyz_PN3, torch.nan)
        return Drawn(pts_PNC, self.table_MT[some], torch.from_numpy(row_P), xyz_PN3, metres_P)


class CloudDraw:
    """Draws a cloud of each place of a batch.

    Attributes:
        giver: of each training place that has clouds, whose clouds it is given, by number.

    Args:
        clouds: all.
        places: name of each place by its number.
        training: numbers of the places that train; wrong clouds are theirs as well.
        seed: keys every draw.
        wrong: each place is given another's clouds and cameras, always the same place's; its panoramas face as another's do.
        flat: all points lie at the height of the ground at their place: what stands there is not told.
        cameras: of the views that the clouds were made of; None where nobody asks for them.

    Raises:
        DataError: where fewer than two places have a cloud.
    """

    def __init__(
        self,
        clouds: TrainingClouds,
        places: Sequence[str],
        training: Rows,
        seed: int,
        *,
        wrong: bool = False,
        flat: bool = False,
        cameras: ViewCameras | None = None,
    ) -> None:
        self.clouds, self.places, self._seed = clouds, tuple(places), seed
        self._wrong, self._flat, self._cameras = wrong, flat, cameras
        having = [int(number) for number in np.unique(training) if places[number] in clouds.rows]
        if len(having) < 2:
            raise DataError(
                f"{len(having)} of {len(np.unique(training))} training places have a cloud that can be used",
                mend="build them with: crossfix clouds build",
            )
        giver, astray_H = np.arange(len(having)), np.zeros(len(having))
        if wrong:  # one cycle through all of them: nobody has its own
            order = numpy_generator(seed, 0, "wrong clouds").permutation(len(having))
            giver[order] = np.roll(order, 1)
            astray_H = numpy_generator(seed, 0, "wrong bearings").uniform(0, 360, len(having))
        self.giver: dict[int, int] = {number: having[other] for number, other in zip(having, giver, strict=True)}
        self._astray_deg = dict(zip(having, astray_H.tolist(), strict=True))
        self._rows = {number: clouds.rows[places[other]] for number, other in self.giver.items()}

    def __call__(self, place_J: Rows, number: int) -> Drawn:
        """The clouds of micro-batch ``number``: of each of its places that has any, one."""
        share_J = numpy_generator(self._seed, number, "clouds").random(len(place_J))
        row_P = np.array([row for row, place in enumerate(place_J) if int(place) in self._rows], np.int64)
        own = [self._rows[int(place_J[row])] for row in row_P]
        chosen = np.array([some[int(share_J[row] * len(some))] for row, some in zip(row_P, own, strict=True)], np.int64)
        drawn = self.clouds.take(chosen, row_P)
        return self._flattened(drawn, torch.from_numpy(chosen)) if self._flat else drawn

    def cameras_of(self, place_B: Rows, views: Sequence[Path]) -> npt.NDArray[np.float32] | None:
        """Cameras of drone pictures, (B, 3, 4), NaN where they are not known; None where nobody asks for them."""
        if self._cameras is None:
            return None
        found = np.full((len(views), 3, 4), np.nan, np.float32)
        for row, (number, view) in enumerate(zip(place_B.tolist(), views, strict=True)):
            giver = self.places[self.giver[number]] if self._wrong and number in self.giver else None
            camera_34 = self._cameras.of(self.places[number], view, giver)
            if camera_34 is not None:
                found[row] = camera_34
        return found

    def astray(self, place_J: Rows) -> torch.Tensor:
        """By how many degrees (J,) panoramas are told to face another way than they do.

        Clouds alone do not make a wrong control from the ground: all panoramas stand at one height, so that where nothing stands in the way
        a bearing and an elevation lead to the same spot whoever's cloud is asked.
        """
        return torch.tensor([self._astray_deg.get(number, 0.0) for number in place_J.tolist()])

    def _flattened(self, drawn: Drawn, chosen_P: torch.Tensor) -> Drawn:
        ground_P = -self.clouds.centre_M3[chosen_P, 2] / self.clouds.radius_M[chosen_P]
        pts_PNC = drawn.pts_PNC.clone()
        pts_PNC[..., 2] = ground_P[:, None]
        return drawn._replace(pts_PNC=pts_PNC, xyz_PN3=drawn.xyz_PN3 * torch.tensor([1.0, 1.0, 0.0]))


class _One(NamedTuple):
    """A sampled cloud: what it was, its points, what was subtracted and what they were divided by."""

    frame: str
    pts_NC: npt.NDArray[np.float32]
    centre_3: npt.NDArray[np.float64]
    radius: float


@dataclass(frozen=True)
class FoundClouds:
    """The files of the clouds that a training uses, none of them read yet.

    Attributes:
        folder: of all.
        files: by place.
        missing: places without any.
        fingerprint: digest of names, sizes, first and last bytes, and notes, the same for a copy elsewhere.
    """

    folder: Path
    files: dict[str, tuple[Path, ...]]
    missing: tuple[str, ...]
    fingerprint: str

    @classmethod
    def of(cls, folder: Path, places: Sequence[str], group: int | None) -> FoundClouds:
        """Look for the clouds of some places.

        Raises:
            DataError: there is no such folder, or none of the places has a cloud there.
        """
        found = find_clouds(folder, places)
        files = found.files
        if group is not None:
            chosen = {place: tuple(file for file in some if file.parent.name.endswith(f"_group{group}")) for place, some in files.items()}
            files = {place: some for place, some in chosen.items() if some}
        if not files:
            what = f"holds no cloud of the {len(places)} places" + ("" if group is None else f" in group {group}")
            raise DataError(what, where=folder, mend="build them with crossfix clouds build, or say where they are with --clouds")
        digests = sorted(f"{file.relative_to(folder).as_posix()} {_digest(file)}\n" for some in files.values() for file in some)
        missing = tuple(place for place in places if place not in files)
        return cls(folder, files, missing, hashlib.sha256("".join(digests).encode()).hexdigest())


def _digest(file: Path) -> str:
    """Tells a cloud from another of as many points without reading all of it; its note says in which frame it is.

    Raises:
        DataError: it cannot be read.
    """
    note, digest = file.with_name(NOTE), hashlib.sha256()
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            digest.update(opened.read(_END_BYTES))
            opened.seek(max(0, size - _END_BYTES))
            digest.update(opened.read())
        digest.update(note.read_bytes() if note.is_file() else b"")
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=file, mend="build it again, or take it away") from error
    return f"{size} {digest.hexdigest()}"


def sampled(
    found: FoundClouds, config: GeoLinkTraining, cache: Path, *, workers: int | None = None, progress: Report | None = None
) -> TrainingClouds:
    """Read and sample clouds, or take them as they were sampled before.

    A cloud that cannot be used (fewer points than wanted, NaN, a file that is damaged or of another version, no colours where colours are
    wanted) is left out and counted.

    Args:
        found: the files.
        config: how they are sampled.
        cache: folder where they are kept, in a file named after what decides over them.
        workers: threads.
        progress: told the clouds read and in all.

    Raises:
        DataError: none of them can be used; the reason of the first is given.
        DiskError: they cannot be kept.
    """
    path = cache / f"clouds-{_key(found, config)}.safetensors"
    return _stored(path) or _sample_all(found, config, path, workers, progress)


def _key(found: FoundClouds, config: GeoLinkTraining) -> str:
    points = config.points
    what = {
        "version": 2,
        "files": found.fingerprint,
        "places": [*found.files, None, *found.missing],
        "points": [points.kind == "grid", points.points, points.centres, points.neighbours, points.colour],
        "sampling": [config.sampling, config.radius_m, config.sample_seed, None if config.spoil is None else asdict(config.spoil)],
    }
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:12]


def _sample_all(found: FoundClouds, config: GeoLinkTraining, path: Path, workers: int | None, progress: Report | None) -> TrainingClouds:
    jobs = [(place, file) for place, files in found.files.items() for file in files]
    made: list[_One] = []
    rows: dict[str, tuple[int, ...]] = {}
    failed: list[tuple[Path, DataError]] = []
    frames: Counter[str] = Counter()
    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="clouds")
    try:
        coming = [pool.submit(_sample_one, file, config) for _, file in jobs]
        for done, ((place, file), one) in enumerate(zip(jobs, coming, strict=True), start=1):
            got = one.result()
            if isinstance(got, DataError):
                failed.append((file, got))
            else:
                frames[got.frame] += 1
                rows[place] = (*rows.get(place, ()), len(made))
                made.append(got)
            if progress is not None:
                progress(done, len(jobs))
    finally:  # whoever interrupts does not wait for the rest
        pool.shutdown(cancel_futures=True)
    if not made:
        raise DataError(f"no cloud can be used, the first because it {_because(failed[0][1])}", where=failed[0][0], mend=failed[0][1].mend)
    pts_MNC = torch.from_numpy(np.stack([one.pts_NC for one in made]))
    points = config.points
    if points.kind == "grid":
        table_MT = torch.empty(len(made), 0, dtype=torch.int16)
    else:
        table_MT = torch.cat([make_table(part[..., :3], points.centres, points.neighbours) for part in torch.split(pts_MNC, _TABLES)])
    count = len(found.files) + len(found.missing)
    report = {
        "places": count,
        "places_with_cloud": len(rows),
        "places_without_cloud": count - len(rows),
        "clouds": len(made),
        "frames": dict(frames),
        "unusable": len(failed),
        "unusable_first": [f"{file.relative_to(found.folder).as_posix()}: {_because(error)}" for file, error in failed[:_NAMED]],
    }
    clouds = TrainingClouds(
        pts_MNC,
        table_MT,
        torch.from_numpy(np.stack([one.centre_3 for one in made]).astype(np.float32)),
        torch.tensor([one.radius for one in made]),
        torch.tensor([one.frame == "enu" for one in made]),
        rows,
        report,
    )
    tensors = {name: getattr(clouds, name).contiguous() for name in _TENSORS}
    write_bytes(path, save(tensors, {"rows": json.dumps(rows), "report": json.dumps(report)}))
    return clouds


def _because(error: DataError) -> str:
    """What an error says of a cloud, without naming it again."""
    return error.what.removeprefix("the cloud ")


_TENSORS = ("pts_MNC", "table_MT", "centre_M3", "radius_M", "metres_M")


def _stored(path: Path) -> TrainingClouds | None:
    """Clouds as they were kept; None where they were not, or are damaged: then they are sampled again."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata()
            rows = {place: tuple(some) for place, some in json.loads(about["rows"]).items()}
            tensors: dict[str, torch.Tensor] = {name: file.get_tensor(name) for name in _TENSORS}
            return TrainingClouds(**tensors, rows=rows, report=json.loads(about["report"]))
    except (SafetensorError, KeyError, ValueError, TypeError):
        return None


def _sample_one(file: Path, config: GeoLinkTraining) -> _One | DataError:
    """A cloud's points, or why it cannot be used."""
    key = file.parent.name
    try:
        cloud = read_cloud(file)
        if config.points.colour and cloud.rgb_N3 is None:
            return DataError("has no colours, and the 3D branch wants them", mend="build it again, or train without colour")
        if config.radius_m and cloud.frame != "enu":
            return DataError(f"is of frame {cloud.frame}, which knows no metres", mend="train with radius_m = 0")
        cloud = upright(cloud)  # heights count along z
        if config.spoil is not None:
            cloud = degrade(cloud, config.spoil, _SPOILT_POINTS, keyed_rng(config.sample_seed, "spoil", key))
        return _points(cloud, config, key)
    except DataError as error:
        return error


def _points(cloud: Cloud, config: GeoLinkTraining, key: str) -> _One:
    wanted = config.points.points
    if config.radius_m:
        near = np.hypot(*cloud.xyz_N3[:, :2].T) <= config.radius_m
        if near.sum() < wanted:
            what = f"has {near.sum():,} points within {config.radius_m:g} m, fewer than {wanted:,}"
            raise DataError(what, mend="build it from more views, or leave it out")
        cloud = cloud.take(near)
    if config.sampling == "random":
        if len(cloud) < wanted:
            raise DataError(f"has {len(cloud):,} points, fewer than {wanted:,}", mend="build it from more views, or leave it out")
        cloud = cloud.take(keyed_rng(config.sample_seed, "points", key).choice(len(cloud), wanted, replace=False))
        pts, centre, radius = to_unit_sphere(cloud.xyz_N3)
    else:
        found = sample(cloud, wanted, seed=config.sample_seed, key=key)
        cloud, pts, centre, radius = cloud.take(found.rows_N), found.pts_N3, found.centre_3, found.radius
    if config.radius_m:
        pts, centre, radius = (cloud.xyz_N3 / config.radius_m).astype(np.float32), np.zeros(3), config.radius_m
    if config.points.colour and cloud.rgb_N3 is not None:
        pts = np.concatenate([pts, (cloud.rgb_N3 / 255).astype(np.float32)], axis=1)
    return _One(cloud.frame, pts, centre, radius)
