from __future__ import annotations

import hashlib

import numpy as np
import pytest

from crossfix.errors import InputError, MapIndexError, ModelError
from crossfix.index import search as search_module
from crossfix.index.parquet import write_chips
from crossfix.index.search import search
from crossfix.index.shards import write_shard
from crossfix.index.store import MapIndex, write_manifest
from crossfix.maps.chip import ChipTable
from rasters import GEOD

DIM = 48


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    desc = rng.standard_normal((count, DIM))
    return desc / np.linalg.norm(desc, axis=1, keepdims=True)


def made(folder, desc: np.ndarray, height: int = 700, middle: float = 15.0) -> MapIndex:
    """An index of given descriptors, chips scattered over about ten kilometres."""
    rng = np.random.default_rng(1)
    count = len(desc)
    (folder / "descriptors").mkdir(parents=True)
    lon = (rng.uniform(middle - 0.05, middle + 0.05, count) + 180) % 360 - 180
    chips = ChipTable(lon, rng.uniform(49.95, 50.05, count), rng.choice([100.0, 200.0, 400.0], count))
    write_chips(folder / "chips.parquet", chips)
    half = desc.astype(np.float16)
    shards = [write_shard(folder, f"descriptors/{n:06d}.npy", half[at : at + height]) for n, at in enumerate(range(0, count, height))]
    model = {"id": "toy", "sha256": "0", "dim": DIM, "input_px": 32}
    chips_sha = hashlib.sha256((folder / "chips.parquet").read_bytes()).hexdigest()
    plan = {"sides_m": [100.0], "overlap": 0.5}
    write_manifest(
        folder, {"model": model, "plan": plan, "rasters": [{"path": "x"}], "count": count, "chips": {"sha256": chips_sha}}, shards
    )
    return MapIndex.open(folder)


def plain(index: MapIndex, query: np.ndarray, k: int, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores = query.astype(np.float64) @ index.descriptors[:].astype(np.float64).T
    rows = np.flatnonzero(allowed)
    order = np.argsort(-scores[:, rows].astype(np.float32), axis=1, kind="stable")[:, :k]
    return rows[order], np.take_along_axis(scores, rows[order], axis=1)


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> MapIndex:
    return made(tmp_path_factory.mktemp("index") / "a.cfx", unit(np.random.default_rng(0), 5000))


@pytest.mark.parametrize("k", [1, 10, 300, 5000, 9000])
@pytest.mark.parametrize("block", [64, 8192])
def test_equals_plain_numpy(index, k, block, monkeypatch):
    monkeypatch.setattr(search_module, "BLOCK_ROWS", block)
    query = unit(np.random.default_rng(2), 6)
    hits = search(index, query, k)
    rows, scores = plain(index, query.astype(np.float32), k, np.ones(len(index), bool))
    np.testing.assert_array_equal(hits.rows_BK, rows)
    np.testing.assert_allclose(hits.scores_BK, scores, atol=1e-6)


def test_filters_equal_plain_numpy(index):
    query = unit(np.random.default_rng(3), 4)
    chips = index.chips
    for lon, lat, radius in ((15.0, 50.0, 500.0), (14.96, 50.049, 2500.0), (15.0, 50.0, 0.0), (15.01, 49.99, 1e6)):
        away = np.array([GEOD.inv(lon, lat, x, y)[2] for x, y in zip(chips.lon, chips.lat, strict=True)])
        for sides in (None, (150.0, 400.0), (200.0, 200.0)):
            allowed = away <= radius + chips.side_m / np.sqrt(2)
            if sides:
                allowed &= (chips.side_m >= sides[0]) & (chips.side_m <= sides[1])
            hits = search(index, query, 20, near=(lon, lat, radius), sides_m=sides)
            rows, _ = plain(index, query.astype(np.float32), 20, allowed)
            np.testing.assert_array_equal(hits.rows_BK, rows)


def test_near_across_the_antimeridian(tmp_path):
    index = made(tmp_path / "a.cfx", unit(np.random.default_rng(0), 40), middle=180.0)
    hits = search(index, unit(np.random.default_rng(1), 1), 40, near=(-179.9999, 50.0, 20000.0))
    assert hits.rows_BK.shape == (1, 40)


def test_nothing_passes(index):
    hits = search(index, unit(np.random.default_rng(3), 2), 5, near=(0.0, 0.0, 1000.0))
    assert hits.rows_BK.shape == hits.scores_BK.shape == (2, 0)


@pytest.mark.parametrize("block", [5, 64, 8192])
def test_equal_scores_come_in_the_order_of_rows(tmp_path, monkeypatch, block):
    """Identical descriptors anywhere, in any block, have one score, and the lower row is first."""
    monkeypatch.setattr(search_module, "BLOCK_ROWS", block)
    rng = np.random.default_rng(4)
    desc = unit(rng, 1501)
    copies = np.sort(rng.choice(1501, 60, replace=False))
    desc[copies] = desc[copies[0]]
    index = made(tmp_path / "a.cfx", desc, height=333)
    query = unit(rng, 3)
    query[0] = desc[copies[0]]
    query[1] = (desc[copies[0]] + 0.3 * query[1]) / np.linalg.norm(desc[copies[0]] + 0.3 * query[1])
    hits = search(index, query, 25)
    for number in (0, 1):
        np.testing.assert_array_equal(hits.rows_BK[number], copies[:25])
        assert len(set(hits.scores_BK[number].tolist())) == 1


def test_constant_descriptors_do_not_favour_anyone(tmp_path):
    index = made(tmp_path / "a.cfx", np.tile(unit(np.random.default_rng(0), 1), (9000, 1)), height=2048)
    hits = search(index, unit(np.random.default_rng(5), 2), 10)
    np.testing.assert_array_equal(hits.rows_BK, np.tile(np.arange(10), (2, 1)))


def test_senseless_searches_are_refused(index):
    query = unit(np.random.default_rng(6), 2)
    for bad in (np.nan, np.inf):
        broken = query.copy()
        broken[1, 3] = bad
        with pytest.raises(ModelError, match="not finite"):
            search(index, broken, 3)
    with pytest.raises(ModelError, match="do not fit"):
        search(index, query[:, :10], 3)
    with pytest.raises(ModelError, match="do not fit"):
        search(index, query[0], 3)
    with pytest.raises(InputError):
        search(index, query, 0)
    with pytest.raises(InputError):
        search(index, query, 3, near=(200.0, 50.0, 10.0))
    with pytest.raises(InputError):
        search(index, query, 3, near=(15.0, 50.0, float("nan")))


def test_index_with_numbers_that_are_not_finite_is_refused(tmp_path):
    desc = unit(np.random.default_rng(0), 30)
    desc[7, 2] = np.nan
    with pytest.raises(MapIndexError, match="not finite"):
        search(made(tmp_path / "a.cfx", desc), unit(np.random.default_rng(1), 1), 3)
