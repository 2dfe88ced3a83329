"""Position embeddings against a bicubic resampling written from its formula."""

import numpy as np
import pytest
import torch

from crossfix.models.positions import resample_positions


def cubic(x, a):
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def matrix(old, new, step):
    """Rows of weights of a bicubic resampling without antialiasing, pixel centres at half integers, edges repeated."""
    out = np.zeros((new, old))
    for i in range(new):
        centre = (i + 0.5) * step - 0.5
        base = int(np.floor(centre))
        for j in range(base - 1, base + 3):
            out[i, min(max(j, 0), old - 1)] += cubic(centre - j, -0.75)
    return out


def matrix_antialiased(old, new):
    """The same with the kernel stretched to the step where the grid shrinks, cut at the edges and renormalised (Pillow's filter)."""
    out = np.zeros((new, old))
    step = old / new
    stretch = max(step, 1.0)
    for i in range(new):
        centre = (i + 0.5) * step
        for j in range(old):
            out[i, j] = cubic((j + 0.5 - centre) / stretch, -0.5)
        out[i] /= out[i].sum()
    return out


def resampled(pos, rows, columns):
    return np.einsum("ih,jw,hwd->ijd", rows, columns, pos).reshape(1, -1, pos.shape[-1])


@pytest.mark.parametrize("wanted", [(16, 16), (23, 23), (10, 54), (40, 40)])
def test_convention_dinov2_without_registers(wanted):
    """No antialiasing; the sampling step is 37 / (n + 0.1), not 37 / n."""
    pos = np.random.default_rng(0).normal(size=(37, 37, 3))
    expected = resampled(pos, *(matrix(37, n, 37 / (n + 0.1)) for n in wanted))
    got = resample_positions(torch.tensor(pos, dtype=torch.float32).reshape(1, -1, 3), (37, 37), wanted, offset=0.1)
    np.testing.assert_allclose(got.numpy(), expected, atol=2e-5)
    plain = resampled(pos, *(matrix(37, n, 37 / n) for n in wanted))
    assert np.abs(plain - expected).max() > 1e-3  # the offset is no detail that float32 swallows


@pytest.mark.parametrize("wanted", [(16, 16), (27, 54), (45, 38)])
def test_convention_dinov2_with_registers(wanted):
    """Antialiased, to the exact size."""
    pos = np.random.default_rng(0).normal(size=(37, 37, 3))
    expected = resampled(pos, *(matrix_antialiased(37, n) for n in wanted))
    got = resample_positions(torch.tensor(pos, dtype=torch.float32).reshape(1, -1, 3), (37, 37), wanted, offset=None)
    np.testing.assert_allclose(got.numpy(), expected, atol=2e-5)


def test_stored_grid_is_untouched():
    pos = torch.randn(1, 37 * 37, 3)
    assert resample_positions(pos, (37, 37), (37, 37), offset=0.1) is pos


def test_keeps_dtype_and_gradient():
    pos = torch.randn(1, 16, 3, dtype=torch.bfloat16, requires_grad=True)
    got = resample_positions(pos, (4, 4), (6, 5), offset=0.1)
    assert got.dtype == torch.bfloat16
    got.sum().backward()
    assert pos.grad is not None
