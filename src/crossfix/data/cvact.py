"""CVACT: street panoramas and satellite images of Canberra, one to one, with positions in metres."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.io
from pyproj import Transformer

from crossfix.data.dataset import Count, Direction, Finding, Task, same_place
from crossfix.data.disk import list_images, look_up, refuse
from crossfix.data.places import check_asked
from crossfix.data.view import View, ViewKind
from crossfix.errors import DataError

INDEX = "ACT_data.mat"
IDS, POSITIONS = "panoIds", "utm"
SETS = {"train": ("trainSet", "trainInd"), "val": ("valSet", "valInd"), "test": ("valSetAll", "valInd")}
"""Structure of the index and its field that holds a split's rows, counted from 1."""
FOLDERS = {"train": "ANU_data_small", "val": "ANU_data_small", "test": "ANU_data_test"}
PANORAMAS, SATELLITES = "streetview", "satview_polish"
PANORAMA_SUFFIX, SATELLITE_SUFFIX = "_grdView.jpg", "_satView_polish.jpg"
KINDS: dict[ViewKind, tuple[str, str]] = {"ground": (PANORAMAS, PANORAMA_SUFFIX), "satellite": (SATELLITES, SATELLITE_SUFFIX)}
PAIRS = {"train": 35_532, "val": 8_884, "test": 92_802}
SATELLITE_PX = 1200
PANORAMA_PX = (1664, 832)
"""Width and height."""
UTM_EPSG = 32755
"""WGS 84 / UTM zone 55 S: the plane of the positions, which the index does not name."""

# The zone is known from where Canberra lies; positions elsewhere are of another plane, and no longitude can be told of them.
_CANBERRA_M = ((650_000.0, 730_000.0), (6_020_000.0, 6_120_000.0))
_PUBLISHED = "replace it by the published one"
_MATLAB_73 = (b"MATLAB 7.3", b"\x89HDF\r\n\x1a\n")


@dataclass(frozen=True)
class _Index:
    """What the index says: ids, positions (N, 2) in metres, and the rows of each split, counted from 0."""

    ids: list[str]
    xy: npt.NDArray[np.float64]
    rows: dict[str, npt.NDArray[np.int64]]


class Cvact:
    """CVACT (Liu and Li, Lending Orientation to Neural Networks for Cross-view Geo-localization, CVPR 2019).

    Source: Google panoramas of Canberra and the satellite image around each, one to one. Satellite images are 1200 x 1200, north up,
    centred on the camera. Panoramas are 1664 x 832, the whole sphere; the middle column looks north. The authors cut out rows 208 to 624
    before use, Sample4Geo does not.

    Counts: train 35,532 and val 8,884 pairs in ``ANU_data_small``; test 92,802 pairs in ``ANU_data_test``, those of val among them.

    Licence: for research; the images remain their owners'. Access from the authors on request, see github.com/Liumouliu/OriCNN. Ground
    resolution: 0.12 m a pixel by the paper (zoom 20, 144 m a side), but measured on images about 0.057 m (68 m a side): they seem to be
    enlarged twice over.

    Layout: ``ACT_data.mat`` and ``ANU_data_{small,test}/{streetview/ID_grdView.jpg,satview_polish/ID_satView_polish.jpg}``. Positions, of
    the cameras in metres of UTM, come from ``ACT_data.mat``.

    Known faults: one training pair lacks an image in every copy, which leaves 35,531. Published test scores are of two kinds: right is
    the query's own image (Sample4Geo and those after it), or any image within 5 m (the authors). They cannot be compared.
    """

    name: ClassVar[str] = "cvact"
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    directions: ClassVar[tuple[Direction, ...]] = ("g2s", "s2g")

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def task(self, split: str, direction: Direction) -> Task:
        """A split as pairs; a place is the id of its panorama.

        train and val stand in the order of the index, without the pairs that lack an image, as Sample4Geo takes them. test is every pair of
        files in ANU_data_test, sorted by id; its positions are None where the copy has no index.

        Raises:
            InputError: for a split or direction the set does not have.
            DataError: where the index or the images are missing or damaged.
        """
        check_asked(self, split, direction)
        index, findings = self._index()
        if split == "test" and not (self.root / INDEX).exists():
            findings = []
        refuse(self.root, findings)
        ids = self._test_ids() if split == "test" else [index.ids[row] for row in index.rows[split]]
        ground, satellite = self._views(split, ids, index)
        keep, _ = self._whole(ground, satellite)
        if not any(keep):
            raise DataError(
                f"holds no pair of {split}", where=self.root / FOLDERS[split], mend=f"fill {PANORAMAS} and {SATELLITES} from the archives"
            )
        query, gallery = ([view for view, kept in zip(views, keep, strict=True) if kept] for views in (ground, satellite))
        if direction == "s2g":
            query, gallery = gallery, query
        protocol = "cvact-test" if split == "test" else "cvact"
        return Task(self.name, split, direction, query, gallery, same_place(query, gallery), None, protocol)

    def inspect(self) -> Iterator[Finding | Count]:
        """What is wrong with the index, every image it names that is missing, test pairs it does not name, and the counts."""
        index, findings = self._index()
        yield from findings
        told: set[Finding] = set()
        for split in self.splits:
            ids = [index.ids[row] for row in index.rows.get(split, ())]
            keep, findings = self._whole(*self._views(split, ids, index))
            yield from (finding for finding in findings if finding not in told)  # train and val share their folders
            told.update(findings)
            yield Count(f"pairs of {split}", PAIRS[split], sum(keep))
        for split in ("val", "test"):
            shared = np.intersect1d(index.rows.get("train", ()), index.rows.get(split, ()))
            if len(shared):
                yield Finding("split", INDEX, f"{len(shared)} pairs are in train and in {split}", _PUBLISHED)
        unnamed = sorted(set(self._test_ids()) - {index.ids[row] for row in index.rows.get("test", ())})
        if unnamed and "test" in index.rows:
            what = f"{len(unnamed)} pairs that the index does not name would enter the test set ({', '.join(unnamed[:3])}, ...)"
            yield Finding("extra", FOLDERS["test"], what, "take them out")

    def images(self) -> list[View]:
        """The panoramas and the satellite images on disk, named or not, without positions."""
        return [
            View(path, path.name.removesuffix(suffix), kind, heading_deg=0.0)
            for folder in dict.fromkeys(FOLDERS.values())
            for kind, (part, suffix) in KINDS.items()
            for path in list_images(self.root / folder / part)
        ]

    def _test_ids(self) -> list[str]:
        folder = self.root / FOLDERS["test"]
        of_ground, of_satellite = (
            {path.name.removesuffix(suffix) for path in list_images(folder / part) if path.name.endswith(suffix)}
            for part, suffix in KINDS.values()
        )
        return sorted(of_ground & of_satellite)

    def _whole(self, ground: list[View], satellite: list[View]) -> tuple[list[bool], list[Finding]]:
        has_ground, lost_ground = look_up(self.root, ground)
        has_satellite, lost_satellite = look_up(self.root, satellite)
        return [one and other for one, other in zip(has_ground, has_satellite, strict=True)], lost_ground + lost_satellite

    def _views(self, split: str, ids: list[str], index: _Index) -> tuple[list[View], list[View]]:
        row_of = {name: row for row, name in enumerate(index.ids)}
        lon, lat = _lonlat(index.xy)
        folder = self.root / FOLDERS[split]
        ground, satellite = [], []
        for name in ids:
            row = row_of.get(name)
            view = View(folder, name, heading_deg=0.0)
            if row is not None and np.isfinite(index.xy[row]).all():
                view = replace(view, xy_m=(float(index.xy[row, 0]), float(index.xy[row, 1])))
                if np.isfinite(lon[row]):
                    view = replace(view, lon=float(lon[row]), lat=float(lat[row]))
            ground.append(replace(view, path=folder / PANORAMAS / (name + PANORAMA_SUFFIX), kind="ground"))
            satellite.append(replace(view, path=folder / SATELLITES / (name + SATELLITE_SUFFIX), kind="satellite"))
        return ground, satellite

    def _index(self) -> tuple[_Index, list[Finding]]:
        nothing = _Index([], np.empty((0, 2)), {})
        path = self.root / INDEX
        try:
            with path.open("rb") as file:
                head = file.read(16)
            if head.startswith(_MATLAB_73):
                what = "is a MATLAB 7.3 file (HDF5), which is not read"
                return nothing, [Finding("split", INDEX, what, "take the published file, or save it again with MATLAB's option -v7")]
            names = [IDS, POSITIONS, *(name for name, _ in SETS.values())]
            content = scipy.io.loadmat(path, variable_names=names)
        except FileNotFoundError:
            return nothing, [Finding("missing", INDEX, "the index is missing", "it comes with the data, or with the authors' code")]
        except Exception as error:  # scipy raises almost anything on damaged files
            return nothing, [Finding("split", INDEX, f"is no MATLAB file that can be read ({error})", _PUBLISHED)]
        if IDS not in content or POSITIONS not in content:
            return nothing, [Finding("split", INDEX, f"lacks {IDS} or {POSITIONS}", _PUBLISHED)]
        ids = [_text(value) for value in np.ravel(content[IDS])]
        xy = np.asarray(content[POSITIONS])
        if xy.shape != (len(ids), 2) or xy.dtype.kind not in "fiu":
            return nothing, [Finding("split", INDEX, f"{POSITIONS} does not hold two numbers for each of {len(ids)} {IDS}", _PUBLISHED)]
        rows, findings = {}, []
        for split, (structure, field) in SETS.items():
            found = _rows(content.get(structure), field, len(ids))
            if found is None:
                findings.append(Finding("split", INDEX, f"{structure}.{field} does not hold row numbers of {IDS}", _PUBLISHED))
            else:
                rows[split] = found
        return _Index(ids, xy.astype(np.float64), rows), findings


def _rows(structure: Any, field: str, count: int) -> npt.NDArray[np.int64] | None:  # noqa: ANN401 - whatever a file holds
    """Rows of a split from 0: the field by its name as the authors read it, else the second one as Sample4Geo does."""
    names = structure.dtype.names if isinstance(structure, np.ndarray) and structure.size == 1 else None
    if not names or (field not in names and len(names) < 2):
        return None
    values = np.ravel(np.ravel(structure)[0][field if field in names else names[1]])
    if values.dtype.kind not in "fiu" or values.size == 0 or not ((values >= 1) & (values <= count) & (values == np.floor(values))).all():
        return None
    return values.astype(np.int64) - 1


def _text(value: Any) -> str:  # noqa: ANN401 - a string of a matrix of characters, or an array in a cell
    return str(np.ravel(value)[0]).strip() if isinstance(value, np.ndarray) and value.size else str(value).strip()


def _lonlat(xy: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Longitudes and latitudes; NaN where a position does not lie around Canberra."""
    inside = np.ones(len(xy), bool)
    for axis, (low, high) in enumerate(_CANBERRA_M):
        inside &= (low <= xy[:, axis]) & (xy[:, axis] <= high)
    lonlat = np.full((2, len(xy)), np.nan)
    lonlat[:, inside] = Transformer.from_crs(UTM_EPSG, 4326, always_xy=True).transform(xy[inside, 0], xy[inside, 1])
    return lonlat[0], lonlat[1]
