"""Cars: drawn anew at each epoch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
_PAINT = np.array(
    [[0.75, 0.75, 0.74], [0.04, 0.04, 0.045], [0.3, 0.3, 0.31], [0.5, 0.5, 0.5], [0.35, 0.05, 0.05], [0.06, 0.1, 0.25], [0.2, 0.22, 0.2]],
    np.float32,
)


def _box(x0: float, x1: float, y: float, z0: float, z1: float) -> F32:
    """Triangles (10, 3, 3) of a box without its floor."""
    a, b, c, d = [x0, -y, z0], [x1, -y, z0], [x1, y, z0], [x0, y, z0]
    e, f, g, h = ([*p[:2], z1] for p in (a, b, c, d))
    faces = [(a, b, f, e), (b, c, g, f), (c, d, h, g), (d, a, e, h), (e, f, g, h)]
    return np.array([t for p, q, r, s in faces for t in ((p, q, r), (p, r, s))], np.float32)


_BODY, _CABIN = _box(-2.15, 2.15, 0.88, 0.25, 0.85), _box(-1.3, 1.0, 0.76, 0.85, 1.45)
_CAR = np.concatenate([_BODY, _CABIN])
_GLASS = np.concatenate([np.zeros(len(_BODY), bool), np.ones(8, bool), np.zeros(2, bool)])


def triangles(stalls: F32, heights: F32, rng: np.random.Generator) -> tuple[F32, F32]:
    """Cars on some of the stalls.

    Args:
        stalls: (n, 4) east, north, heading in radians from east to north, chance of a car.
        heights: ground at the stalls, (n,).
        rng: keyed for the epoch.

    Returns:
        Corners (t, 3, 3) in world metres and reflectances (t, 3).
    """
    here = rng.random(len(stalls)) < stalls[:, 3]
    paint = _PAINT[rng.integers(len(_PAINT), size=len(stalls))][here] * rng.uniform(0.8, 1.2, (int(here.sum()), 1)).astype(np.float32)
    length = rng.uniform(0.88, 1.25, len(stalls))[here].astype(np.float32)
    spots, z = stalls[here], heights[here]
    c, s = np.cos(spots[:, 2])[:, None, None], np.sin(spots[:, 2])[:, None, None]
    p = _CAR[None]
    u, v = p[..., 0] * length[:, None, None], p[..., 1]
    corners = np.stack([u * c - v * s + spots[:, 0, None, None], u * s + v * c + spots[:, 1, None, None], p[..., 2] + z[:, None, None]], -1)
    rgb = np.where(_GLASS[None, :, None], np.float32(0.04), paint[:, None, :])
    return corners.reshape(-1, 3, 3).astype(np.float32), rgb.reshape(-1, 3).astype(np.float32)
