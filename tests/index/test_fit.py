from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crossfix.errors import InputError, MapIndexError, ModelError
from crossfix.index.build import build_index
from crossfix.index.fit import describer_of, fit_head, map_describer, sample
from crossfix.index.store import MapIndex
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.describe import Describer
from crossfix.models.folder import load_model, save_model
from crossfix.models.gengeo import ArchConfig, GemConfig, VladConfig, build
from rasters import placed, write

PLAN = TilingPlan((40.0, 80.0), 0.0)
HEAD = VladConfig(clusters=4, dim=16)


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model folder: random numbers behind which any head can be fitted."""
    torch.manual_seed(0)
    config = ArchConfig("test_resnet", 64, GemConfig(), stride=16)
    folder = tmp_path_factory.mktemp("model") / "small"
    save_model(folder, build(config), ModelCard("small", config, Preprocessing(64)))
    return folder


@pytest.fixture(scope="module")
def two_textures(tmp_path_factory):
    """A map whose western half is striped and whose eastern half is chequered, 1 m a pixel."""
    x, y = np.meshgrid(np.arange(360), np.arange(360))
    stripes, chequers = x // 4 % 2 * 200 + 20, (x // 12 + y // 12) % 2 * 120 + 60
    grey = np.where(x < 180, stripes, chequers)
    noise = np.random.default_rng(0).integers(0, 16, (3, 360, 360)).astype(np.uint8)
    path = tmp_path_factory.mktemp("map") / "two.tif"
    tint = np.where(x < 180, np.array([1, 0.6, 0.2])[:, None, None], np.array([0.3, 0.7, 1])[:, None, None])
    return write(path, (grey * tint).astype(np.uint8) + noise, "EPSG:32633", placed("EPSG:32633", 15.2, 50.1, 1.0, 360), photometric="RGB")


@pytest.fixture
def geomap(two_textures):
    with GeoMap.open([two_textures]) as opened:
        yield opened


def fit(geomap, model, out, head=HEAD, **options):
    return fit_head(geomap, load_model(model), out, PLAN, head=head, **options)


def test_two_textures_become_two_clusters(geomap, model, tmp_path):
    fit(geomap, model, tmp_path / "a.cfx", VladConfig(clusters=2, dim=None))
    net, _ = load_model(tmp_path / "a.cfx" / "model")
    west, _, east, _ = geomap.bounds_lonlat
    lat = np.mean(geomap.bounds_lonlat[1::2])
    words = []
    for share in (0.2, 0.35, 0.65, 0.8):
        chip = geomap.read_square(west + share * (east - west), lat, 60.0, 64)
        pixels = (torch.from_numpy(chip.pixels).permute(2, 0, 1)[None] / 255 - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / (
            torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
        )
        with torch.no_grad():
            tokens = torch.nn.functional.normalize(net.encoder(pixels)[0][0], dim=-1)
        words.append(torch.cdist(tokens, net.head.centroid).argmin(1).double().mean().item())
    western, eastern = np.mean(words[:2]), np.mean(words[2:])
    assert abs(western - eastern) > 0.8


def test_the_model_is_a_folder_like_any_other_and_the_index_carries_it(geomap, model, tmp_path):
    seen = []
    out = tmp_path / "a.cfx"
    describer = fit(geomap, model, out, progress=lambda *at: seen.append(at))
    chips = len(PLAN.chips(geomap))
    assert seen[-1] == (2 * chips, 2 * chips)  # for the vocabulary, then for the whitening; the card asks for no turns
    index = build_index(geomap, describer, out, PLAN, carried=True)
    assert index.model_folder == out / "model"
    assert index.model_id == "small-vlad"
    net, card = load_model(out / "model")
    assert card.architecture.head == VladConfig(clusters=4, dim=16)
    assert net.head.centroid.shape == (4, net.encoder.dim)
    again = describer_of(MapIndex.open(out))
    again.describe([np.zeros((64, 64, 3), np.uint8)])
    index.check_model(again)
    pixels = [geomap.read_square(*row, 64).filled() for row in PLAN.chips(geomap)][:5]
    np.testing.assert_allclose(index.descriptors[:5].astype(np.float32), again.describe(pixels), atol=2e-3)
    with pytest.raises(MapIndexError, match="it carries its own"):
        index.check_model(describer_of(index, model))


def test_the_encoder_is_the_one_given(geomap, model, tmp_path):
    fit(geomap, model, tmp_path / "a.cfx")
    given, _ = load_model(model)
    net, _ = load_model(tmp_path / "a.cfx" / "model")
    for one, other in zip(given.encoder.parameters(), net.encoder.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)  # stored in half precision


def test_whitened_chips_of_the_map_vary_equally(geomap, model, tmp_path):
    index = build_index(geomap, fit(geomap, model, tmp_path / "a.cfx", power=1.0), tmp_path / "a.cfx", PLAN, carried=True)
    desc = index.descriptors[:].astype(np.float64)
    assert desc.shape == (len(index), 16)
    spread = np.linalg.svd(desc - desc.mean(0), compute_uv=False)
    assert spread[0] / spread[-1] < 3


def test_the_same_command_twice_gives_the_same_bytes(geomap, model, tmp_path):
    for name in ("a.cfx", "b.cfx"):
        build_index(geomap, fit(geomap, model, tmp_path / name), tmp_path / name, PLAN, carried=True)
    assert contents(tmp_path / "a.cfx") == contents(tmp_path / "b.cfx")
    before = contents(tmp_path / "a.cfx")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "a.cfx" / "model").iterdir()}
    build_index(geomap, fit(geomap, model, tmp_path / "a.cfx"), tmp_path / "a.cfx", PLAN, carried=True)
    assert contents(tmp_path / "a.cfx") == before
    assert {path: path.stat().st_mtime_ns for path in times} == times  # not fitted again


KILLED = """
import os, signal, sys
from crossfix.index import build, fit
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap
from crossfix.models.folder import load_model
from crossfix.models.gengeo import VladConfig
build.SHARD_ROWS = 50
def killed(done, total):
    if done > 60:
        os.kill(os.getpid(), signal.SIGKILL)
geomap, plan = GeoMap.open([{raster!r}]), TilingPlan((40.0, 80.0), 0.0)
describer = fit.fit_head(geomap, load_model({model!r}), {out!r}, plan, head=VladConfig(clusters=4, dim=16))
build.build_index(geomap, describer, {out!r}, plan, progress=killed, carried=True)
"""


def test_a_fit_that_is_stopped_begins_anew(geomap, model, tmp_path):
    def stop(done, total):
        if done > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(geomap, model, tmp_path / "a.cfx", progress=stop)
    assert not (tmp_path / "a.cfx" / "model").exists()
    fit(geomap, model, tmp_path / "a.cfx")
    fit(geomap, model, tmp_path / "b.cfx")
    assert contents(tmp_path / "a.cfx") == contents(tmp_path / "b.cfx")


def test_a_killed_build_goes_on_with_the_same_head(geomap, two_textures, model, tmp_path, monkeypatch):
    monkeypatch.setattr("crossfix.index.build.SHARD_ROWS", 50)
    out, whole = tmp_path / "killed.cfx", tmp_path / "whole.cfx"
    script = KILLED.format(raster=str(two_textures), model=str(model), out=str(out))
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}  # sums round by the number of threads
    assert subprocess.run([sys.executable, "-c", script], check=False, env=environment).returncode == -signal.SIGKILL
    with pytest.raises(MapIndexError, match="no finished"):
        MapIndex.open(out)
    assert (out / "model").exists()
    (out / ".model.part").mkdir(exist_ok=True)  # what a kill in the middle of writing the model leaves
    (out / ".model.part" / "model.safetensors").write_bytes(b"half")
    build_index(geomap, fit(geomap, model, whole), whole, PLAN, carried=True)
    fitting = []
    describer = fit(geomap, model, out, progress=lambda *at: fitting.append(at))
    assert fitting == [(1, 1)]  # not fitted again
    build_index(geomap, describer, out, PLAN, carried=True)
    assert contents(out) == contents(whole)


def test_another_head_or_model_needs_to_be_asked_for(geomap, model, tmp_path):
    out = tmp_path / "a.cfx"
    index = build_index(geomap, fit(geomap, model, out), out, PLAN, carried=True)
    before = contents(out)
    with pytest.raises(MapIndexError, match="--overwrite"):
        fit(geomap, model, out, VladConfig(clusters=3, dim=16))
    with pytest.raises(MapIndexError, match="--overwrite"):
        build_index(geomap, describer_of(index, model), out, PLAN)
    assert contents(out) == before
    build_index(geomap, fit(geomap, model, out, VladConfig(clusters=3, dim=16), overwrite=True), out, PLAN, carried=True, overwrite=True)
    assert len(load_model(out / "model")[0].head.centroid) == 3
    plain = build_index(geomap, describer_of(index, model), out, PLAN, overwrite=True)
    assert plain.model_folder is None
    assert not (out / "model").exists()


def test_a_damaged_head_is_told_and_mended(geomap, model, tmp_path):
    out = tmp_path / "a.cfx"
    build_index(geomap, fit(geomap, model, out), out, PLAN, carried=True)
    before = contents(out)
    weights = out / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelError, match="sha256"):
        describer_of(MapIndex.open(out))
    with pytest.raises(MapIndexError, match="--overwrite"):
        fit(geomap, model, out)
    build_index(geomap, fit(geomap, model, out, overwrite=True), out, PLAN, carried=True, overwrite=True)
    assert contents(out) == before


def test_what_cannot_be(geomap, model, tmp_path):
    with pytest.raises(ModelError, match=r"\d+ chips give \d+ tokens, too few for 1000 clusters; ask for fewer --clusters"):
        fit(geomap, model, tmp_path / "a.cfx", VladConfig(clusters=1000))
    with pytest.raises(InputError, match="0 clusters"):
        fit(geomap, model, tmp_path / "a.cfx", VladConfig(clusters=0))
    (tmp_path / "other" / "model").mkdir(parents=True)
    (tmp_path / "other" / "model" / "mine.txt").write_text("keep")
    with pytest.raises(MapIndexError, match="other things"):
        fit(geomap, model, tmp_path / "other")
    assert (tmp_path / "other" / "model" / "mine.txt").read_text() == "keep"


def test_a_small_map_gets_fewer_entries_and_a_smaller_one_no_whitening(geomap, model, tmp_path, monkeypatch):
    chips = len(PLAN.chips(geomap))
    features = load_model(model)[0].encoder.dim
    assert fit(geomap, model, tmp_path / "a.cfx", VladConfig(clusters=4, dim=512)).dim == 4 * features
    assert load_model(tmp_path / "a.cfx" / "model")[1].architecture.head.dim is None
    monkeypatch.setattr("crossfix.index.fit.LEAST_DIRECTIONS", 10)
    assert fit(geomap, model, tmp_path / "b.cfx", VladConfig(clusters=4, dim=512)).dim == chips // 4


def test_the_sample_is_balanced_and_keyed():
    sides = np.repeat([40.0, 80.0, 160.0], [1000, 100, 10])
    rows = sample(sides, 150)
    assert [(sides[rows] == side).sum() for side in (40.0, 80.0, 160.0)] == [70, 70, 10]
    assert len(np.unique(rows)) == 150
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, sample(sides, 150))
    assert not np.array_equal(rows, sample(sides, 150, seed=1))
    np.testing.assert_array_equal(sample(sides, 5000), np.arange(1110))


def test_fitted_heads_are_described_in_float32_on_every_machine(geomap, model, tmp_path):
    fit(geomap, model, tmp_path / "a.cfx")
    fitted = load_model(tmp_path / "a.cfx" / "model")
    pixels = [geomap.read_square(*row, 64).filled() for row in PLAN.chips(geomap)][:4]
    np.testing.assert_array_equal(Describer(*fitted).describe(pixels), Describer(*fitted, precision="float32").describe(pixels))


def test_a_model_of_panoramas_describes_no_map_but_its_encoder_may(geomap, model, tmp_path):
    net, card = load_model(model)
    of_panoramas = replace(card, preprocessing=replace(card.preprocessing, ground_hw=(32, 128), ground_fit="middle"))
    save_model(tmp_path / "model", net, of_panoramas)
    with pytest.raises(ModelError, match="model of panoramas, of 32 x 128 pixels"):
        map_describer(tmp_path / "model")
    describer = fit(geomap, tmp_path / "model", tmp_path / "map.cfx")
    assert describer.card.preprocessing == card.preprocessing
    index = build_index(geomap, describer, tmp_path / "map.cfx", PLAN, carried=True)
    assert describer_of(index).sha256 == describer.sha256
    with pytest.raises(ModelError, match="model of panoramas"):
        describer_of(index, tmp_path / "model")
