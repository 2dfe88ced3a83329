from __future__ import annotations

import numpy as np
import pytest

from crossfix.data.stress.draws import Draws
from crossfix.data.stress.weather import (
    CONDITIONS,
    LAYERS,
    PUBLISHED,
    Fog,
    Sheet,
    condition,
    dark,
    light,
    rain,
    sheets,
    snow,
    spectral,
    streak,
    wind,
)
from crossfix.errors import InputError

GREY = np.full((96, 128, 3), 90, np.uint8)


def luma(picture: np.ndarray) -> np.ndarray:
    return picture.astype(float) @ [0.299, 0.587, 0.114]


def test_the_conditions_are_the_ten_of_the_protocol():
    assert set(CONDITIONS) == {"normal", "fog", "rain", "snow", "fog_rain", "fog_snow", "rain_snow", "dark", "light", "wind"}
    assert [len(LAYERS[name]) for name in ("fog", "rain", "snow", "fog_rain", "fog_snow", "rain_snow")] == [1, 5, 5, 3, 3, 5]


def test_normal_is_a_copy(picture):
    out = condition(picture, "normal", PUBLISHED, "k")
    np.testing.assert_array_equal(out, picture)
    assert not np.shares_memory(out, picture)


@pytest.mark.parametrize(("name", "level"), [("hail", 3), ("fog", 6), ("fog", 2.5), ("fog", 0)])
def test_unknown_names_and_levels(picture, name, level):
    with pytest.raises(InputError, match="choose one of"):
        condition(picture, name, level, "k")


def test_fog_is_as_opaque_as_its_definition_says():
    for seed in range(5):
        (sheet,) = sheets(Fog(), 96, 128, 1.0, Draws("k", seed))
        # (1 + 0.9 n) ** 0.9 * 0.5 for n from 0 to 1
        assert 0.5 - 1e-9 <= (1 - sheet.keep).min() < 0.6
        assert 0.75 < (1 - sheet.keep).max() <= 0.5 * 1.9**0.9 + 1e-9
        cloud = sheet.add / (1 - sheet.keep)
        assert abs(cloud.mean() - 225) < 20
        assert cloud.min() > 225 - 45 - 10


def test_fog_pulls_the_mean_to_225_and_lowers_contrast(picture):
    out = condition(picture, "fog", PUBLISHED, "k")
    assert picture.mean() + 0.5 * (225 - picture.mean()) - 15 < out.mean() < 230
    assert out.std() < 0.7 * picture.std()


def test_rain_covers_as_much_as_its_density_says():
    # 3 to 14 pixels of a hundred hold a drop, of 0.82 of full brightness on average; a blur keeps the sum, and 1.3 times it is the opacity.
    few, many = (np.mean([1 - s.keep for n in range(40) for s in sheets(rain((0.1, 0.2)), 64, 64, k, Draws("k", n))]) for k in (0.5, 1.0))
    assert 1.7 < many / few < 2.1
    assert 0.6 < many / (1.3 * 0.085 * 0.82) < 1.1


def test_rain_falls_in_streaks_of_its_own_colour():
    out = condition(GREY, "rain", PUBLISHED, "k").astype(float)[..., 0]
    assert out.min() >= 90
    assert out.max() <= 240
    down, across = np.abs(np.diff(out, axis=0)).mean(), np.abs(np.diff(out, axis=1)).mean()
    assert down < 0.7 * across


def test_snow_flakes_grow_as_their_size_says():
    small, large = (
        np.mean([_width(s.least) for n in range(10) for s in sheets(snow((size, size)), 128, 128, 1.0, Draws("k", n))])
        for size in (0.5, 0.9)
    )
    assert large > 1.5 * small


def _width(field: np.ndarray) -> float:
    """Lag in pixels at which a field's correlation with itself, along rows, falls below a half."""
    field = field - field.mean()
    power = [(field[:, : field.shape[1] - lag] * field[:, lag:]).mean() for lag in range(20)]
    return next((lag for lag in range(20) if power[lag] < 0.5 * power[0]), 20)


def test_snow_only_adds_light_and_reaches_white():
    out = condition(GREY, "snow", PUBLISHED, "k")
    assert out.min() >= 90
    assert out.max() == 255


def test_sheets_in_a_row_are_one_sheet():
    rng = np.random.default_rng(0)
    row = [Sheet(rng.random((4, 5)), 99 * rng.random((4, 5)), 99 * rng.random((4, 5))) for _ in range(4)]
    x = 255 * rng.random((4, 5))
    step, whole = x, row[0]
    for sheet in row:
        step = np.maximum(sheet.keep * step + sheet.add, sheet.least)
    for sheet in row[1:]:
        whole = whole.then(sheet)
    np.testing.assert_allclose(np.maximum(whole.keep * x + whole.add, whole.least), step)


@pytest.mark.parametrize("brightness", [0, 60, 90, 155])
def test_dark_by_its_formula(brightness):
    grey = np.full((4, 5, 3), brightness, np.uint8)
    seen = {int(dark(grey, 1.0, Draws("k", n))[0, 0, 0]) for n in range(200)}
    paler = 0.5 * (brightness + 100) + 0.5 * 0.2 * brightness
    after, before = [0.2 * paler - add for add in (30, 15)], [0.2 * (paler - add) for add in (30, 15)]
    for value in seen:
        assert any(max(0, low) - 0.51 <= value <= max(0, high) + 0.51 for low, high in (after, before))
    if brightness:
        assert any(max(0, after[0]) - 0.51 <= value <= max(0, after[1]) + 0.51 for value in seen)
        assert any(before[0] - 0.51 <= value <= before[1] + 0.51 for value in seen)


@pytest.mark.parametrize("brightness", [0, 60, 120, 250])
def test_light_by_its_formula(brightness):
    grey = np.full((4, 5, 3), brightness, np.uint8)
    seen = [int(light(grey, 1.0, Draws("k", n))[0, 0, 0]) for n in range(100)]
    low, high = min(255.0, 1.6 * brightness), min(255.0, 1.6 * brightness + 30)
    assert min(seen) >= low - 0.51
    assert max(seen) <= high + 0.51
    assert max(seen) - min(seen) > 0.8 * (high - low) - 1


def test_light_keeps_differences_of_colour():
    colour = np.full((2, 2, 3), (60, 50, 40), np.uint8)
    out = light(colour, 1.0, Draws("k")).astype(int)[0, 0]
    assert (out[:2] - out[1:]).tolist() == [10, 10]


def test_wind_is_a_motion_blur_of_15_px():
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    for number in range(10):
        y, x = np.nonzero(wind(np.asarray(point), 15, Draws("k", number))[..., 0])
        length = max(np.hypot(a - c, b - d) for a, b in zip(y, x, strict=True) for c, d in zip(y, x, strict=True))
        assert 9 < length < 17.5


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, -60.0])
def test_convention_a_streak_leans_clockwise_from_the_vertical(angle):
    kernel = streak(15, angle, 1.0, 1.0)
    assert kernel.sum() == pytest.approx(1)
    y, x = np.indices(kernel.shape) - np.array(kernel.shape)[:, None, None] // 2
    assert (kernel * x).sum() == pytest.approx(0, abs=1e-9)
    spread = np.array([[(kernel * x * x).sum(), -(kernel * x * y).sum()], [-(kernel * x * y).sum(), (kernel * y * y).sum()]])
    along = np.array([np.sin(np.radians(angle)), np.cos(np.radians(angle))])  # right, up
    assert along @ spread @ along == pytest.approx((15**2 - 1) / 12, abs=0.3)
    across = np.array([along[1], -along[0]])
    assert across @ spread @ across < 0.3


def test_a_streak_of_falling_weights_is_strongest_at_its_lower_end():
    kernel = streak(9, 0.0, 1.0, 0.0)
    middle = kernel[:, kernel.shape[1] // 2]
    assert middle.argmax() > len(middle) // 2
    np.testing.assert_allclose(np.diff(middle[middle > 0]), np.diff(middle[middle > 0])[0])


@pytest.mark.parametrize("exponent", [-1.0, -2.0])
def test_the_noise_has_the_spectrum_it_is_asked_for(exponent):
    power = np.mean([np.abs(np.fft.fft2(spectral(64, 64, 64, exponent, Draws("k", n)))) ** 2 for n in range(30)], axis=0)
    y, x = np.minimum(np.arange(64), 64 - np.arange(64))[:, None], np.minimum(np.arange(64), 64 - np.arange(64))
    radius = np.hypot(y, x)
    rings = [4, 8, 16, 28]
    level = [power[np.abs(radius - r) < 0.75].mean() for r in rings]
    slope = np.polyfit(np.log(rings), np.log(level), 1)[0]
    assert slope == pytest.approx(2 * exponent, abs=0.3)
    field = spectral(50, 80, 10, exponent, Draws("k"))
    assert field.shape == (50, 80)
    assert 0 <= field.min() <= field.max() <= 1


def test_large_pictures_get_the_same_weather_as_small_ones():
    large = condition(np.full((96, 2048, 3), 90, np.uint8), "rain_snow", PUBLISHED, "k").astype(float)
    small = condition(np.full((48, 1024, 3), 90, np.uint8), "rain_snow", PUBLISHED, "k").astype(float)
    shrunk = large.reshape(48, 2, 1024, 2, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - small).mean() < 6
    assert abs(large.mean() - small.mean()) < 1
