"""GeoLink on its three data sets: CV-Cities' network, taught by point clouds of the training places, and used without any.

Train after ``crossfix clouds build ROOT --data NAME --backend vggt`` (or colmap), or on the authors' own clouds, which are found where
they lie (and laid level: their axes are the first camera's). The saved model is the 2D network alone. The paper trains on one set and
tests on another; `transfers` lists its six.

What it leaves open, or its published code contradicts, is decided here; `GeoLinkTraining`, `TermsConfig` and `PointConfig` say more:

* Clouds: three a place, each from every third drone view, as many points as there are up to 30,000; of DenseUAV's three photographs all
  but one. Confidence and sky filters are those of ``crossfix clouds build``.
* 3D branch: Point-PN, trained, as the code has it (the paper names Point-NN), of 48 channels at first in place of 576, which are 121 M
  parameters to be thrown away; three experts of whole vectors and a shared one; unit norm.
* The information bound's network is fitted in alternation, a step for a step; it is a mean over entries, weight 0.1; clouds' descriptors
  are the standard to which pictures are brought, and get no gradient from it, nor from relation distillation.
* Relations: Euclidean, within each view, squared difference, mean-scaled, as published. Symmetric contrast, not the overwritten one.
* Batch 64 in place of 4 to 8: relations come in its square, and negatives with it. SUES-200 has 100 places to train on, and takes 50.
* A place gives one drone picture, one satellite picture and one cloud to a batch, all three drawn anew: the published loader takes the
  first file of a folder for all 40 epochs, once a cloud. Epochs are such that as many pairs are seen as there, of DenseUAV a 13th.
* SUES-200 trains on pictures and clouds from 300 m, the height for which the authors name clouds.
* Satellite pictures are turned by any angle, drone pictures next to none; clouds are mirrored with the satellite picture, and turned with
  it where their north is known. AdamW and rates as cvcities-university1652: against it 3D, the contrast within each view (which needs no
  3D), batch and epochs differ.
* A place without a usable cloud trains on its pictures; how many did stands in results.json.
* Which weights are kept: the best on places held out of the training split. The authors choose on the target's test set.
* Tests: ``crossfix evaluate --protocol university1652-sample4geo``: the paper takes distractors out on all three sets (their gallery is
  701, 80 and 777 places), which the sets' own scripts do not.
* All of it at once, the paper's numbers beside ours: ``python benchmarks/geolink_transfers.py``.

Hours: 1.1 trillion operations a pair, and a tenth more for the 3D branch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from crossfix.models.point_branch import PointConfig
from crossfix.train.config import SetData, TrainConfig
from crossfix.train.geolink import GeoLinkTraining
from crossfix.train.recipes.cvcities import ARCH
from crossfix.train.recipes.gengeo import OPTIM
from crossfix.train.recipes.sample4geo import drone_augment

_SPLITS = {"university1652": ("test",), "denseuav": ("test",), "sues200": ("test-150", "test-200", "test-250", "test-300")}

_WEATHER = {
    "weather-fog_rain": (81.78, 84.59),
    "weather-fog_snow": (78.34, 81.53),
    "weather-rain_snow": (89.03, 90.70),
    "weather-wind": (88.50, 90.43),
}


@dataclass(frozen=True)
class Transfer:
    """Trained on one set, tested on another; a row of the paper's tables 2 and 3. Percent; None where the number has not been found.

    Scored by the protocol ``university1652-sample4geo``.

    Attributes:
        recipe: trains on the source.
        source: data set.
        target: data set, no picture of which is trained on.
        splits: of the target; scores are the mean over them.
        d2s_r1: R@1 from drone to satellite, as the paper prints it.
        d2s_ap: average precision of the same.
        s2d_r1: R@1 from satellite to drone.
        s2d_ap: average precision of the same.
        weather: R@1 and average precision from drone to satellite by dial of the multi-weather test, table 4.
    """

    recipe: str
    source: str
    target: str
    splits: tuple[str, ...]
    d2s_r1: float
    d2s_ap: float | None = None
    s2d_r1: float | None = None
    s2d_ap: float | None = None
    weather: dict[str, tuple[float, float]] = field(default_factory=dict)


def transfers() -> tuple[Transfer, ...]:
    """The six transfers of the paper's tables, the ones of which it reports the way back first. None has been measured by us."""
    university, sues, dense = "university1652", "sues200", "denseuav"
    return (
        replace(_transfer(university, sues, 93.44, None, 98.13, 93.65), weather=_WEATHER),
        _transfer(dense, sues, 93.25, None, 98.13),
        _transfer(sues, university, 63.41, None, 85.98),
        _transfer(dense, university, 68.28, None, 95.00),
        _transfer(university, dense, 39.30),
        _transfer(sues, dense, 33.03, 23.12),
    )


def _transfer(
    source: str, target: str, d2s_r1: float, d2s_ap: float | None = None, s2d_r1: float | None = None, s2d_ap: float | None = None
) -> Transfer:
    return Transfer(f"geolink-{source}", source, target, _SPLITS[target], d2s_r1, d2s_ap, s2d_r1, s2d_ap)


def geolink_university1652() -> TrainConfig:
    """``crossfix train geolink-university1652 --data university1652:ROOT -o runs/geolink-university1652``: GeoLink on University-1652.

    Expect two hours on one A100 (40 GB), reckoned and not measured, clouds not counted. Aims, carried over without training
    there, at R@1 93.44 on SUES-200 from drone to satellite and 98.13 (AP 93.65) back, and 39.30 on DenseUAV; ours: not measured yet.

    Then ``crossfix evaluate --data sues200:ROOT --split test-150 --model runs/geolink-university1652`` with
    ``--protocol university1652-sample4geo``, and so on for 200, 250 and 300 m, of which the paper prints the mean. The same with
    ``--stress weather`` is the multi-weather test: the paper has R@1 81.78 (AP 84.59) in fog and rain, 78.34 (81.53) in fog and snow,
    89.03 (90.70) in rain and snow, 88.50 (90.43) in wind.
    """
    return _recipe("geolink-university1652", "university1652", "train", epochs=130, batch=64, held_out=50)


def geolink_sues200() -> TrainConfig:
    """``crossfix train geolink-sues200 --data sues200:ROOT -o runs/geolink-sues200``: GeoLink on SUES-200 from 300 m.

    Expect half an hour on one A100 (40 GB), reckoned and not measured. Aims, carried over without training there, at R@1 63.41 on
    University-1652 from drone to satellite and 85.98 back, and 33.03 (AP 23.12) on DenseUAV; ours: not measured yet.

    Then ``crossfix evaluate --data university1652:ROOT --split test --model runs/geolink-sues200 --protocol university1652-sample4geo``,
    likewise denseuav.
    """
    return _recipe("geolink-sues200", "sues200", "train-300", epochs=150, batch=50, held_out=20)


def geolink_denseuav() -> TrainConfig:
    """``crossfix train geolink-denseuav --data denseuav:ROOT -o runs/geolink-denseuav``: GeoLink on DenseUAV.

    Expect three hours on one A100 (40 GB), reckoned and not measured. Aims, carried over without training there, at R@1 93.25 on SUES-200
    from drone to satellite and 98.13 back, and 68.28 on University-1652 and 95.00 back; ours: not measured yet.

    Then ``crossfix evaluate --data university1652:ROOT --split test --model runs/geolink-denseuav --protocol university1652-sample4geo``,
    likewise the heights of sues200.
    """
    return _recipe("geolink-denseuav", "denseuav", "train", epochs=60, batch=64, held_out=200)


def _recipe(name: str, data: str, split: str, *, epochs: int, batch: int, held_out: int) -> TrainConfig:
    return TrainConfig(
        recipe=name,
        arch=ARCH,
        data=SetData(data, split, "d2s", (ARCH.px, ARCH.px), ARCH.px, draw="place"),
        epochs=epochs,
        batch=batch,
        held_out=held_out,
        optim=OPTIM,
        augment=drone_augment(),
        pretrained=True,
        validate_every=50,
        checkpoint_every=500,
        geolink=GeoLinkTraining(points=PointConfig(width=48, centres=(256, 64, 16), neighbours=16)),
    )
