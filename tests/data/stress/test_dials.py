from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crossfix.data.stress.dials import DIALS, heading_error_deg, stress
from crossfix.data.stress.geometry import field_of_view, turned, turned_panorama
from crossfix.errors import InputError

PINS = Path(__file__).parent / "pins.json"

#: Those that draw nothing.
SAME_FOR_ALL = {"weather-normal", "corruption-defocus_blur", "corruption-zoom_blur", "corruption-brightness", "corruption-contrast"}
SAME_FOR_ALL |= {"corruption-saturate", "corruption-pixelate", "corruption-jpeg", "fov_aligned", "scale"}

#: Those whose levels are no scale of how far they go: as published, two-sided, or bounds on something that is drawn.
NO_SCALE = {"weather-normal", "corruption-saturate", "corruption-elastic", "corruption-snow", "scale", "quarter_turn"}
NO_SCALE |= {"fov", "fov_aligned", "perspective", "heading", "turn", "shift"}


def digest(name: str, picture: np.ndarray) -> str:
    found = hashlib.sha256()
    for level in DIALS[name].levels:
        out = stress(picture, name, level, image_id="pin", seed=7)
        found.update(json.dumps(out.shape).encode() + out.tobytes())
    return found.hexdigest()


@pytest.mark.parametrize("name", DIALS)
def test_the_bytes_are_pinned(picture, name):
    """A change here changes every stressed benchmark: say so in the changelog, then write the new number to pins.json."""
    assert digest(name, picture) == json.loads(PINS.read_text())[name]


def test_every_pin_is_of_a_dial():
    assert list(json.loads(PINS.read_text())) == list(DIALS)


@pytest.mark.parametrize("name", DIALS)
def test_a_picture_depends_on_its_id_alone_and_not_on_the_order(picture, name):
    level = DIALS[name].levels[len(DIALS[name].levels) // 2]
    ids = ["a", "b", "c", "d"]
    first = {image_id: stress(picture, name, level, image_id=image_id, seed=0) for image_id in ids}
    again = {image_id: stress(picture, name, level, image_id=image_id, seed=0) for image_id in reversed(ids)}
    for image_id in ids:
        np.testing.assert_array_equal(first[image_id], again[image_id])
    others = [np.array_equal(first["a"], first[image_id]) for image_id in ids[1:]]
    seeds = [np.array_equal(first["a"], stress(picture, name, level, image_id="a", seed=seed)) for seed in (1, 2, 3)]
    if name in SAME_FOR_ALL:
        assert all(others + seeds)
    elif name == "quarter_turn":
        assert not all(others + seeds)
    else:
        assert not any(others + seeds)


@pytest.mark.parametrize("name", DIALS)
def test_a_picture_is_bytes_of_its_size_and_the_given_one_is_left_alone(picture, name):
    assert not picture.flags.writeable
    before = picture.copy()
    for level in DIALS[name].levels:
        out = stress(picture, name, level, image_id="a", seed=0)
        assert out.dtype == np.uint8
        assert out.shape[2:] == (3,)
        assert out.shape == picture.shape or not DIALS[name].keeps_size
        assert out.flags.writeable
        assert not np.shares_memory(out, picture)
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("name", DIALS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3, 3), (32, 32, 3), (33, 7, 3), (40, 31), (40, 31, 1)], ids=str)
def test_tiny_and_grey_pictures(name, shape):
    grey = np.full(shape, 100, np.uint8)
    for level in (DIALS[name].levels[0], DIALS[name].levels[-1]):
        out = stress(grey, name, level, image_id="a", seed=0)
        assert out.dtype == np.uint8
        assert out.shape == (*shape[:2], 3) or not DIALS[name].keeps_size


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("name", DIALS)
def test_black_and_white_pictures(name, value):
    out = stress(np.full((32, 40, 3), value, np.uint8), name, DIALS[name].levels[-1], image_id="a", seed=0)
    assert out.shape[2] == 3


@pytest.mark.parametrize("name", [name for name in DIALS if name not in NO_SCALE])
def test_higher_levels_go_further_from_the_original(large_picture, name):
    distances = np.array(
        [
            [
                np.abs(stress(large_picture, name, level, image_id=image_id, seed=0).astype(float) - large_picture).mean()
                for level in DIALS[name].levels
            ]
            for image_id in ("a", "b", "c")
        ]
    )
    assert (np.diff(distances.mean(axis=0)) > 0).all(), distances


def test_bounds_widen_with_the_level():
    for name in ("heading", "turn"):
        for image_id in "abc":
            errors = [heading_error_deg(name, level, image_id=image_id, seed=0) for level in DIALS[name].levels]
            assert (np.diff(np.abs(errors)) > 0).all()
            assert all(abs(error) <= level for error, level in zip(errors, DIALS[name].levels, strict=True))
    errors = [heading_error_deg("heading", 180.0, image_id=str(n), seed=0) for n in range(400)]
    assert np.histogram(errors, 4, (-180, 180))[0].min() > 70


def test_the_heading_error_is_the_one_that_was_applied(picture):
    def error(name: str, level: float) -> float:
        return heading_error_deg(name, level, image_id="a", seed=3)

    def out(name: str, level: float) -> np.ndarray:
        return stress(picture, name, level, image_id="a", seed=3)

    np.testing.assert_array_equal(out("heading", 90.0), turned_panorama(picture, error("heading", 90.0)))
    np.testing.assert_array_equal(out("fov", 90.0), field_of_view(turned_panorama(picture, error("fov", 90.0)), 90.0))
    np.testing.assert_array_equal(out("turn", 45.0), turned(picture, error("turn", 45.0)))
    np.testing.assert_array_equal(out("quarter_turn", 1.0), np.rot90(picture, error("quarter_turn", 1.0) // 90))


def test_fixed_gives_every_picture_the_same_pattern():
    grey = np.full((40, 50, 3), 90, np.uint8)
    one, two = (stress(grey, "weather-snow", 3, image_id=image_id, seed=0, fixed=True) for image_id in "ab")
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, stress(grey, "weather-snow", 3, image_id="a", seed=0))


def test_a_wider_picture_is_used_where_it_can_be(picture):
    chip = picture[12:36, 16:48]
    for name in ("shift", "scale", "turn"):
        level = DIALS[name].levels[-1]
        with_it, without = (stress(chip, name, level, image_id="a", seed=0, wider_HWC=wider) for wider in (picture, None))
        assert not np.array_equal(with_it, without)
    with pytest.raises(InputError, match="no use for a wider picture"):
        stress(chip, "blob", 0.1, image_id="a", seed=0, wider_HWC=picture)


def test_what_makes_no_sense_is_refused_with_the_choices(picture):
    with pytest.raises(InputError, match=r"no dial 'hail'.*weather-fog"):
        stress(picture, "hail", 3, image_id="a", seed=0)
    with pytest.raises(InputError, match=r"no level of weather-fog 7.*1, 2, 3, 4, 5"):
        stress(picture, "weather-fog", 7, image_id="a", seed=0)
    with pytest.raises(InputError, match=r"fov.*360, 180, 90, 70"):
        stress(picture, "fov", 100, image_id="a", seed=0)
    with pytest.raises(InputError, match="not for satellite views"):
        stress(picture, "fov", 90, image_id="a", seed=0, view="satellite")
    with pytest.raises(InputError, match="no RGB picture"):
        stress(picture.astype(float), "weather-fog", 3, image_id="a", seed=0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="turns pictures"):
        heading_error_deg("blob", 0.1, image_id="a", seed=0)


def test_every_dial_says_what_it_is_for():
    for name, dial in DIALS.items():
        assert dial.name == name
        assert dial.levels
        assert dial.applies_to
        assert dial.kinds


def test_a_processor_without_its_newer_instructions_gives_the_same_bytes():
    """Another machine, as far as one can be had here: numpy and OpenCV told to leave their vector code alone."""
    wanted = ["weather-rain_snow", "weather-fog", "corruption-shot_noise", "corruption-motion_blur", "corruption-elastic", "turn", "scale"]
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('dials_here', {__file__!r})\n"
        "here = importlib.util.module_from_spec(spec); spec.loader.exec_module(here)\n"
        "spec = importlib.util.spec_from_file_location('made_here', str(here.PINS.with_name('conftest.py')))\n"
        "made = importlib.util.module_from_spec(spec); spec.loader.exec_module(made)\n"
        f"print(*[here.digest(name, made.made(48, 64)) for name in {wanted!r}])\n"
    )
    slow = {
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX2 FMA3 AVX512F AVX512_SKX",  # names of new and old versions
        "OPENCV_CPU_DISABLE": "AVX512-SKX,AVX2,FMA3,AVX",
        "OPENCV_IPP": "disabled",
    }
    run = subprocess.run([sys.executable, "-c", code], env={**os.environ, **slow}, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [json.loads(PINS.read_text())[name] for name in wanted]
