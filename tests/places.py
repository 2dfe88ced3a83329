"""Pictures with known truth: a procedural patch of ground, and views of it through exact homographies."""

from __future__ import annotations

import cv2
import numpy as np


def ground(px: int, seed: int = 0) -> np.ndarray:
    """Fields, roads and roofs seen from above, (px, px, 3); features on many scales, nothing repeated."""
    rng = np.random.default_rng(seed)
    picture = np.full((px, px, 3), 120, np.uint8)
    for _ in range(px // 12):
        centre, axes = rng.uniform(0, px, 2), rng.uniform(px / 30, px / 7, 2)
        box = cv2.boxPoints(((float(centre[0]), float(centre[1])), (float(axes[0]), float(axes[1])), float(rng.uniform(0, 90))))
        cv2.fillConvexPoly(picture, box.astype(np.int32), rng.integers(60, 200, 3).tolist())
    for _ in range(px // 50):
        a, b = rng.uniform(0, px, 2).astype(int), rng.uniform(0, px, 2).astype(int)
        cv2.line(picture, a.tolist(), b.tolist(), rng.integers(150, 240, 3).tolist(), max(2, px // 120))
    for _ in range(px // 3):
        centre, axes = rng.uniform(0, px, 2), rng.uniform(4, 16, 2)
        box = cv2.boxPoints(((float(centre[0]), float(centre[1])), (float(axes[0]), float(axes[1])), float(rng.uniform(0, 90))))
        cv2.fillConvexPoly(picture, box.astype(np.int32), rng.integers(20, 255, 3).tolist())
    noise = cv2.GaussianBlur(rng.normal(0, 40, (px, px, 1)).astype(np.float32), (0, 0), 1.5)[..., None]
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.8) + noise, 0, 255).astype(np.uint8)


def seen(picture: np.ndarray, to_picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A view (width, height) of a picture: target pixel (x, y, 1) through `to_picture` to its pixel."""
    return cv2.warpPerspective(picture, to_picture, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT)


def motion(turn_deg: float, scale: float, source: tuple[float, float], target: tuple[float, float]) -> np.ndarray:
    """3x3 similarity: turn clockwise (x right, y down), scale, and `source` onto `target`."""
    angle = np.radians(turn_deg)
    matrix = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]) * [[scale], [scale], [1]]
    matrix[:2, 2] = np.array(target) - matrix[:2, :2] @ np.array(source)
    return matrix
