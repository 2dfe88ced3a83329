from __future__ import annotations

import cv2
import numpy as np
import pytest

from crossfix.evaluate.baselines import BASELINES, ColourHistogram, RotatedHog
from crossfix.evaluate.retrieval import evaluate_pairs


def scenes(count: int, px: int = 160) -> list[np.ndarray]:
    """Smooth random colour fields."""
    generator = np.random.default_rng(0)
    return [
        cv2.resize(generator.integers(0, 256, (9, 9, 3), dtype=np.uint8), (px, px), interpolation=cv2.INTER_CUBIC) for _ in range(count)
    ]


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    px = len(image)
    matrix = cv2.getRotationMatrix2D(((px - 1) / 2, (px - 1) / 2), degrees, 1.0)
    return cv2.warpAffine(image, matrix, (px, px), borderMode=cv2.BORDER_REFLECT_101)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_descriptors_have_unit_norm_and_the_stated_size(name: str):
    baseline = BASELINES[name]()
    images = [*scenes(2), np.full((30, 50, 3), 128, np.uint8), np.zeros((64, 64, 3), np.uint8)]
    desc_BD = baseline.describe(images)
    assert desc_BD.shape == (4, baseline.dim)
    assert desc_BD.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(desc_BD, axis=1), 1, atol=1e-5)


def test_colours_forgive_white_balance_and_heading():
    images = scenes(30)
    tinted = [np.clip(turned(image, 90) * [0.8, 0.6, 0.7], 0, 255).astype(np.uint8) for image in images]
    model = ColourHistogram()
    result = evaluate_pairs(model.describe(tinted), range(30), model.describe(images), range(30))
    assert result.scores["R@1"].value > 0.9


def test_a_turned_query_is_found_by_its_gradients():
    images = scenes(30)
    queries = [turned(image, 30 * (row % 12)) for row, image in enumerate(images)]
    model = RotatedHog()
    wall = model.describe(images)
    aware = evaluate_pairs(model.describe_query(queries), range(30), wall, range(30))
    blind = evaluate_pairs(model.describe(queries), range(30), wall, range(30))
    assert aware.scores["R@1"].value > 0.95
    assert blind.scores["R@1"].value < 0.5


def test_the_first_heading_is_the_picture_as_it_stands():
    model, images = RotatedHog(), scenes(2)
    np.testing.assert_allclose(model.describe_query(images)[:, 0], model.describe(images), atol=1e-4)
