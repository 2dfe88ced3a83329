from __future__ import annotations

import colorsys

import numpy as np
import pytest
from PIL import Image

from crossfix.data.stress import corruptions
from crossfix.data.stress.corruptions import BRIGHTNESS, CONTRAST, GAUSSIAN, IMPULSE, PIXELATE, SATURATE, SHOT, SPECKLE, corrupt, plasma
from crossfix.data.stress.draws import Draws
from crossfix.errors import InputError

MIDDLE = np.full((120, 160, 3), 128, np.uint8)


@pytest.mark.parametrize("number", range(2))
def test_normal_noise_has_the_published_deviation(number):
    noise = corruptions.gaussian_noise(MIDDLE, number, Draws("k")).astype(float) - 128
    assert abs(noise.mean()) < 1
    assert noise.std() == pytest.approx(255 * GAUSSIAN[number], rel=0.02)
    speckle = corruptions.speckle_noise(MIDDLE // 2, number, Draws("k")).astype(float) - 64
    assert speckle.std() == pytest.approx(64 * SPECKLE[number], rel=0.02)


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("value", [0, 30, 128])
def test_shot_noise_counts_photons(number, value):
    out = corruptions.shot_noise(np.full((100, 100, 3), value, np.uint8), number, Draws("k")).astype(float)
    mean = value / 255 * SHOT[number]
    photons = np.round(out / 255 * SHOT[number])
    np.testing.assert_allclose(out, np.minimum(255, photons * 255 / SHOT[number]), atol=0.51)
    chance = [(photons == n).mean() for n in range(3)]
    poisson = [np.exp(-mean), np.exp(-mean) * mean, np.exp(-mean) * mean**2 / 2]
    np.testing.assert_allclose(chance, poisson, atol=0.012)
    if value < 128:
        assert photons.mean() == pytest.approx(mean, abs=0.05 * mean + 1e-9)
        assert photons.var() == pytest.approx(mean, abs=0.1 * mean + 1e-9)


@pytest.mark.parametrize("number", range(5))
def test_impulses_are_black_or_white_one_as_often_as_the_other(number):
    out = corruptions.impulse_noise(MIDDLE, number, Draws("k"))
    assert set(np.unique(out)) == {0, 128, 255}
    assert [(out == v).mean() for v in (0, 255)] == pytest.approx([IMPULSE[number] / 2] * 2, rel=0.1)


@pytest.mark.parametrize("number", range(5))
def test_contrast_keeps_the_mean(picture, number):
    out = corruptions.contrast(picture, number, Draws("k")).astype(float)
    np.testing.assert_allclose(out.mean(axis=(0, 1)), picture.mean(axis=(0, 1)), atol=0.5)
    np.testing.assert_allclose(out.std(axis=(0, 1)), CONTRAST[number] * picture.std(axis=(0, 1)), atol=0.4)


@pytest.mark.parametrize("number", range(5))
def test_brightness_and_saturation_as_the_standard_library_has_them(number):
    colours = np.array([[0, 0, 0], [255, 255, 255], [90, 90, 90], [200, 100, 40], [10, 220, 130], [3, 2, 250], [50, 60, 60]], np.uint8)
    brighter = corruptions.brightness(colours[None], number, Draws("k"))[0]
    redder = corruptions.saturate(colours[None], number, Draws("k"))[0]
    factor, add = SATURATE[number]
    for colour, bright, red in zip(colours, brighter, redder, strict=True):
        h, s, v = colorsys.rgb_to_hsv(*(colour / 255))
        np.testing.assert_allclose(bright, 255 * np.array(colorsys.hsv_to_rgb(h, s, min(1, v + BRIGHTNESS[number]))), atol=0.51)
        np.testing.assert_allclose(red, 255 * np.array(colorsys.hsv_to_rgb(h, min(1, s * factor + add), v)), atol=0.51)


@pytest.mark.parametrize("number", range(5))
def test_pixelate_by_whole_pixels(number):
    """Against Pillow's box filter, that rounds twice."""
    given = np.random.default_rng(0).integers(0, 256, (23, 31, 3)).astype(np.uint8)
    small = Image.fromarray(given).resize((int(31 * PIXELATE[number]), int(23 * PIXELATE[number])), Image.Resampling.BOX)
    large = np.asarray(small.resize((31, 23), Image.Resampling.BOX)).astype(int)
    assert np.abs(corruptions.pixelate(given, number, Draws("k")) - large).max() <= 1


def test_fog_adds_a_cloud_and_keeps_the_range(picture):
    out = corruptions.fog(picture, 0, Draws("k"))
    assert out.max() <= picture.max()
    assert np.corrcoef(out.ravel(), picture.ravel())[0, 1] < 0.9


def test_plasma_is_a_torus_of_falling_detail():
    clouds = [plasma(128, 2.0, Draws("k", n)) for n in range(10)]
    assert all(c.min() == 0 and c.max() == 1 for c in clouds)
    inner = np.mean([np.abs(np.diff(c, axis=1)).mean() for c in clouds])
    seam = np.mean([np.abs(c[:, 0] - c[:, -1]).mean() for c in clouds])
    assert seam < 2 * inner
    fine, coarse = (np.mean([np.abs(np.diff(plasma(128, d, Draws("k", n)), axis=1)).mean() for n in range(10)]) for d in (2.0, 1.4))
    assert coarse > fine


def test_snow_makes_brighter(picture):
    for number in range(5):
        assert (corruptions.snow(picture, number, Draws("k")) >= picture).all()


def test_elastic_waves_are_small_at_the_published_size():
    """A gradient shows how far pixels move: at levels 3 to 5 by a few of 224 pixels, as the blurred noise's deviation says."""
    ramp = np.repeat(np.broadcast_to(np.arange(224, dtype=np.uint8)[None, :, None], (224, 224, 1)), 3, 2)
    for number, most in ((0, 60), (1, 110), (2, 16), (3, 18), (4, 22)):
        moved = np.abs(corruptions.elastic(ramp, number, Draws("k"))[60:-60, 60:-60, 0].astype(float) - ramp[60:-60, 60:-60, 0])
        assert 0.2 < moved.mean() < most
    sigma, high = 244 * 0.01, 244 * 0.12
    waves = np.std(np.diff(corruptions.elastic(ramp, 4, Draws("k"))[60:-60, 60:-60, 0].astype(float), axis=0))
    # Uniform noise of variance 1/3 blurred by s has deviation (1/3)^0.5 / (2 pi^0.5 s); a row on it changes by 1 / (2^0.5 s) of that.
    assert waves == pytest.approx(high * 3**-0.5 / (2 * np.pi**0.5 * sigma) / (2**0.5 * sigma), rel=0.35)


@pytest.mark.parametrize(("name", "level"), [("frost", 3), ("fog", 0), ("fog", 1.5)])
def test_unknown_names_and_levels(picture, name, level):
    with pytest.raises(InputError, match="choose one of"):
        corrupt(picture, name, level, "k")
