"""The camera's response: exposure, white balance, colours, gamma, noise. Each shot draws its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from crossfix.worlds.noise import keyed_rng

F32 = npt.NDArray[np.float32]
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True)
class Sensor:
    """A camera's response to linear light.

    Attributes:
        exposure: factor on the light.
        balance: factors on red, green and blue.
        saturation: 1 keeps the colours, 0 is grey.
        gamma: exponent of the tone curve.
        lift: light that is added everywhere (veil).
        noise: standard deviation of the noise, of 1.
        blur_px: standard deviation of the blur.
        seed: of the noise.
    """

    exposure: float = 1.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    gamma: float = 1 / 2.2
    lift: float = 0.0
    noise: float = 0.0
    blur_px: float = 0.0
    seed: int = 0

    @staticmethod
    def draw(seed: int) -> Sensor:
        """A camera and its settings at random."""
        rng = keyed_rng(seed, "sensor")
        red, blue = rng.normal(0, 0.07, 2)
        return Sensor(
            exposure=float(2 ** rng.normal(0, 0.28)),
            balance=(float(1 + red), 1.0, float(1 + blue)),
            saturation=float(rng.uniform(0.65, 1.3)),
            gamma=float(rng.uniform(0.82, 1.15) / 2.2),
            lift=float(rng.uniform(0, 0.035)),
            noise=float(rng.uniform(0.0, 0.02)),
            blur_px=float(rng.uniform(0, 0.6)),
            seed=int(rng.integers(2**31)),
        )

    def develop(self, light: F32, where: tuple[int, int] = (0, 0)) -> npt.NDArray[np.uint8]:
        """Linear light to a picture.

        Args:
            light: (h, w, 3) float32, 1 is white at exposure 1.
            where: row and column of a block of a larger picture, so that its noise is its own.

        Returns:
            (h, w, 3) uint8 RGB.
        """
        picture: npt.NDArray[Any] = light * (np.asarray(self.balance, np.float32) * np.float32(self.exposure)) + np.float32(self.lift)
        if self.blur_px > 0.25:
            picture = cv2.GaussianBlur(picture, (0, 0), self.blur_px)
        grey = picture @ _LUMA
        picture = grey[..., None] + np.float32(self.saturation) * (picture - grey[..., None])
        np.clip(picture, 0, None, out=picture)
        picture = picture / (1 + 0.18 * picture) * 1.18  # a shoulder, so that bright roofs keep their shape
        picture = np.power(np.clip(picture, 0, 1), np.float32(self.gamma))
        if self.noise > 0:
            rng = keyed_rng(self.seed, "noise", *where)
            picture += rng.standard_normal(picture.shape, np.float32) * np.float32(self.noise)
        return np.asarray(np.clip(picture * 255 + 0.5, 0, 255), np.uint8)
