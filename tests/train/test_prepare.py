from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from crossfix.errors import InputError
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.describe import Describer
from crossfix.models.gengeo import ArchConfig, MeanConfig, build
from crossfix.train.config import SetData, TrainConfig
from crossfix.train.panoramas import PanoramaAugment
from crossfix.train.prepare import Prepare
from crossfix.train.source import PairBatch

CONFIG = TrainConfig(
    recipe="panoramas",
    arch=ArchConfig("test_vit", 64, MeanConfig()),
    data=SetData("cvusa", "train", "g2s", (32, 128), 64),
    augment=PanoramaAugment(),
    held_out=1,
)
CPU = torch.device("cpu")


def stored(count: int = 5) -> PairBatch:
    rng = np.random.default_rng(0)
    ground, satellite = (rng.integers(0, 256, (count, *hw, 3), np.uint8) for hw in ((32, 128), (64, 64)))
    return PairBatch(ground, satellite, np.arange(count), tuple(map(str, range(count))), neutral_JJ=np.eye(count, dtype=bool))


def test_the_same_number_gives_the_same_batch_and_another_one_another():
    prepare = Prepare(CONFIG, 1.0, 16, CPU)
    first, again, other = (prepare(stored(), number, step=0) for number in (3, 3, 4))
    assert torch.equal(first.query_BCHW, again.query_BCHW)
    assert torch.equal(first.satellite_BCHW, again.satellite_BCHW)
    assert not torch.equal(first.satellite_BCHW, other.satellite_BCHW)
    assert first.query_BCHW.shape == (5, 3, 32, 128)
    assert first.satellite_BCHW.shape == (5, 3, 64, 64)
    assert first.points is None
    assert first.neutral_JJ is not None


def test_a_process_with_some_of_the_pictures_makes_of_them_what_one_with_all_makes():
    prepare, whole = Prepare(CONFIG, 1.0, 16, CPU), stored()
    part = dataclasses.replace(whole, query_BHWC=whole.query_BHWC[2:4], satellite_BHWC=whole.satellite_BHWC[2:4], first=2)
    all_of_them, some = (prepare(batch, 3, step=0) for batch in (whole, part))
    assert torch.equal(some.query_BCHW, all_of_them.query_BCHW[2:4])
    assert torch.equal(some.satellite_BCHW, all_of_them.satellite_BCHW[2:4])
    assert torch.equal(some.place_J, all_of_them.place_J)


def test_a_batch_has_one_field_of_view_in_whole_patches():
    wide = dataclasses.replace(CONFIG, augment=PanoramaAugment(heading="free", fov_deg=(70.0, 360.0)))
    prepare = Prepare(wide, 1.0, 16, CPU)
    widths = {prepare(stored(2), number, step=0).query_BCHW.shape[3] for number in range(60)}
    assert widths == {32, 48, 64, 80, 96, 112, 128}


def test_plain_pictures_are_what_the_deployed_model_sees():
    torch.manual_seed(0)
    model = build(CONFIG.arch).eval()
    card = ModelCard("m", CONFIG.arch, Preprocessing(64, ground_hw=(32, 128)))
    describer = Describer(model, card, precision="float32")
    batch = stored()
    prepare = Prepare(CONFIG, 1.0, 16, CPU)
    with torch.no_grad():
        ground = model(prepare.plain(batch.query_BHWC, "query"), "query").numpy()
        satellite = model(prepare.plain(batch.satellite_BHWC, "satellite")).numpy()
    np.testing.assert_allclose(ground, describer.describe(batch.query_BHWC, kind="ground"), atol=1e-5)
    np.testing.assert_allclose(satellite, describer.describe(batch.satellite_BHWC), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"data": SetData("university1652", "train", "d2s", (64, 64), 64)}, "augmentation is not for this kind of view"),
        ({"data": SetData("cvusa", "train", "g2s", (32, 128), 96)}, "satellite_px is not the architecture's px"),
        ({"tokens_weight": 1.0}, "does not say how its pictures lie"),
        ({"data": SetData("vigor", "train", "g2s", (32, 128), 64, semi_positives="apart")}, "needs neighbours"),
    ],
)
def test_configs_that_make_no_sense(change: dict, says: str):
    with pytest.raises(InputError, match=says):
        dataclasses.replace(CONFIG, **change)
