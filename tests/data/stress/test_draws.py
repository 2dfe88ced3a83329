from __future__ import annotations

import numpy as np

from crossfix.data.stress.draws import Draws, key_of


def test_a_key_tells_its_parts_apart():
    keys = {key_of("a", "b", 1), key_of("ab", "", 1), key_of("a", "b", 2), key_of('a", "b', "", 1), key_of("b", "a", 1)}
    assert len(keys) == 5


def test_the_stream_hangs_on_key_and_purpose_alone():
    first = Draws("k", "rain", 1).field(3, 5)
    Draws("other").field(7)
    np.testing.assert_array_equal(first, Draws("k", "rain", 1).field(3, 5))
    for other in (Draws("k", "rain", 2), Draws("k", "snow", 1), Draws("l", "rain", 1), Draws("k")):
        assert not np.array_equal(first, other.field(3, 5))


def test_the_numbers_are_pinned():
    draws = Draws("k")
    assert draws.field(2).tolist() == [0.8000931957820957, 0.3963889587183326]
    assert draws.integer(0, 999) == 855
    np.testing.assert_allclose(draws.normal(3), [-0.4266950786, 0.0248064455, -0.0543198959], rtol=0, atol=1e-6)


def test_even_numbers():
    field = Draws("k").field(200, 500)
    assert 0 <= field.min() < 1e-4
    assert 1 - 1e-4 < field.max() < 1
    np.testing.assert_allclose(np.histogram(field, 10, (0, 1))[0] / field.size, 0.1, atol=0.004)
    whole = [Draws("k", number).integer(2, 4) for number in range(600)]
    assert set(whole) == {2, 3, 4}
    assert min(np.bincount(whole)[2:]) > 150


def test_normal_numbers():
    normal = Draws("k").normal(300, 501).astype(float)
    assert normal.shape == (300, 501)
    assert abs(normal.mean()) < 0.01
    assert abs(normal.std() - 1) < 0.01
    assert abs((normal**4).mean() - 3) < 0.1
    assert abs((np.abs(normal) < 1).mean() - 0.6827) < 0.005
    assert np.abs(normal).max() < 4.4
