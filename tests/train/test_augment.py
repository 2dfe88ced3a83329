from __future__ import annotations

import numpy as np
import pytest
import torch

from crossfix.train.augment import AugmentConfig, ColourConfig, WarpConfig, augment, cut, draw_colour, draw_warp, plain

STILL = WarpConfig()
NO_COLOUR = ColourConfig(*(0.0,) * 11)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 4, px: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, px, px, 3), dtype=np.uint8))


def test_nothing_asked_changes_nothing():
    picture_BHWC = pictures()
    img_BCHW, _ = augment(picture_BHWC, 32, STILL, NO_COLOUR, generator())
    assert img_BCHW.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(img_BCHW, picture_BHWC.permute(0, 3, 1, 2) / 255, atol=1e-5, rtol=0)


def test_margin_cuts_the_middle():
    picture_BHWC = pictures(px=48)
    torch.testing.assert_close(
        plain(picture_BHWC, 32, margin=1.5), picture_BHWC[:, 8:40, 8:40].permute(0, 3, 1, 2) / 255, atol=1e-5, rtol=0
    )


def test_large_pictures_are_averaged_not_skipped():
    picture_BHWC = pictures(px=128)
    blocks = picture_BHWC.float().reshape(4, 32, 4, 32, 4, 3).mean(dim=(2, 4)).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(plain(picture_BHWC, 32), blocks, atol=1e-5, rtol=0)


def test_convention_a_positive_shift_moves_the_window_right_and_down():
    picture_BHWC = pictures(count=1, px=32)
    theta_B23 = torch.tensor([[[1.0, 0.0, 2 * 3 / 32], [0.0, 1.0, 2 * 5 / 32]]])
    moved = cut(picture_BHWC, theta_B23, 32)
    torch.testing.assert_close(moved[0, :, :27, :29], picture_BHWC[0, 5:, 3:].permute(2, 0, 1) / 255, atol=1e-5, rtol=0)


def test_warp_stays_within_its_bounds():
    warp = WarpConfig(rotate_deg=180.0, shift=0.12, side=(0.8, 1.25))
    theta_B23 = draw_warp(4000, warp, generator(), margin=1.5)
    side = theta_B23[:, :, 0].norm(dim=1) * 1.5
    assert 0.8 <= side.min() < 0.81
    assert 1.24 < side.max() <= 1.25
    shift = theta_B23[:, :, 2] * 1.5 / 2  # in chip sides
    assert 0.11 < shift.abs().max() <= 0.12
    heading = torch.rad2deg(torch.atan2(theta_B23[:, 1, 0], theta_B23[:, 0, 0]))
    assert (torch.histc(heading, 12, -180, 180) > 250).all(), "every heading comes equally often"


def test_mirror_mirrors_left_to_right():
    picture_BHWC = pictures(count=2)
    img_BCHW, _ = augment(picture_BHWC, 32, STILL, NO_COLOUR, generator(), mirror_B=torch.tensor([True, False]))
    want = picture_BHWC.permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(img_BCHW[0], want[0].flip(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(img_BCHW[1], want[1], atol=1e-5, rtol=0)


def test_same_key_same_picture_other_key_another():
    config = AugmentConfig()
    first, again, other = (augment(pictures(), 32, config.drone, config.colour, generator(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 1


def test_contrast_keeps_the_mean_and_grey_stays_grey():
    only = ColourConfig(**{**dict.fromkeys(ColourConfig.__dataclass_fields__, 0.0), "contrast": 1.0})
    mean_B3 = torch.full((16, 3), 0.4)
    matrix_B33, offset_B3 = draw_colour(mean_B3, only, generator(), 1.0)
    after_B3 = torch.einsum("bij,bj->bi", matrix_B33, mean_B3) + offset_B3
    torch.testing.assert_close(after_B3, mean_B3)
    hue = ColourConfig(**{**dict.fromkeys(ColourConfig.__dataclass_fields__, 0.0), "mixing": 0.3, "saturation": 0.5})
    matrix_B33, offset_B3 = draw_colour(mean_B3, hue, generator(), 1.0)
    torch.testing.assert_close(torch.einsum("bij,bj->bi", matrix_B33, mean_B3) + offset_B3, mean_B3)


@pytest.mark.parametrize("effect", ["blur", "noise", "cutout"])
def test_drawn_effects_touch_some_pictures_only(effect: str):
    colour = ColourConfig(**{**dict.fromkeys(ColourConfig.__dataclass_fields__, 0.0), effect: 0.5})
    picture_BHWC = pictures(count=40)
    img_BCHW, _ = augment(picture_BHWC, 32, STILL, colour, generator())
    touched = (img_BCHW - picture_BHWC.permute(0, 3, 1, 2) / 255).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert 8 <= int(touched.sum()) <= 32


def test_blur_keeps_a_flat_picture_flat():
    colour = ColourConfig(**{**dict.fromkeys(ColourConfig.__dataclass_fields__, 0.0), "blur": 1.0})
    flat = torch.full((3, 32, 32, 3), 77, dtype=torch.uint8)
    img_BCHW, _ = augment(flat, 32, STILL, colour, generator())
    torch.testing.assert_close(img_BCHW, torch.full_like(img_BCHW, 77 / 255))


def test_curriculum_grows_to_full_strength():
    config = AugmentConfig(curriculum_steps=100, curriculum_start=0.2)
    assert config.strength(0) == pytest.approx(0.2)
    assert config.strength(50) == pytest.approx(0.6)
    assert config.strength(100) == config.strength(10_000) == 1.0
    assert AugmentConfig().strength(0) == 1.0


def test_convention_a_turn_is_anticlockwise_and_comes_before_the_mirror():
    picture_BHWC = pictures(count=2)
    turned, _ = augment(picture_BHWC, 32, STILL, NO_COLOUR, generator(), turn_B=torch.tensor([torch.pi / 2, -torch.pi / 2]))
    want = picture_BHWC.permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(turned[0], want[0].rot90(1, (1, 2)), atol=1e-4, rtol=0)
    torch.testing.assert_close(turned[1], want[1].rot90(-1, (1, 2)), atol=1e-4, rtol=0)
    mirrored, _ = augment(
        picture_BHWC, 32, STILL, NO_COLOUR, generator(), turn_B=torch.full((2,), torch.pi / 2), mirror_B=torch.tensor([True, False])
    )
    torch.testing.assert_close(mirrored[0], turned[0].flip(2), atol=1e-4, rtol=0)
