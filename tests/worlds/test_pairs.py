"""Banks of views: deterministic, resumable, truthful."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossfix.errors import DataError, InputError
from crossfix.geo.camera import Camera
from crossfix.worlds import pairs
from crossfix.worlds.noise import keyed_rng
from crossfix.worlds.pairs import BankPlan, PairBank, draw_camera, make_pair_bank

PLAN = BankPlan(("town", "desert"), 26, 9, px=16, epochs=1, views=2)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> PairBank:
    return make_pair_bank(tmp_path_factory.mktemp("bank") / "b", PLAN, workers=1)


def test_shapes_and_names(bank: PairBank) -> None:
    assert bank.satellite.shape == (26, 1, 24, 24, 3)
    assert bank.drone.shape == (26, 2, 22, 22, 3)
    assert list(bank.region) == ["town"] * 12 + ["desert"] * 12 + ["town"] * 2
    assert bank.truth["heading_deg"].shape == (26, 2)


def test_an_interrupted_bank_goes_on_and_ends_the_same(bank: PairBank, tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    def kill(done: int, total: int) -> None:
        if done == 1:
            raise KilledError

    with pytest.raises(KilledError):
        make_pair_bank(tmp_path / "b", PLAN, workers=1, progress=kill)
    with pytest.raises(DataError):
        PairBank.open(tmp_path / "b")
    first = (tmp_path / "b" / "world-00000.npz").stat().st_mtime_ns
    calls: list[tuple[int, int]] = []
    again = make_pair_bank(tmp_path / "b", PLAN, workers=2, progress=lambda *c: calls.append(c))
    assert calls[0] == (1, 3)
    assert first > 0
    np.testing.assert_array_equal(again.satellite, bank.satellite)
    np.testing.assert_array_equal(again.drone, bank.drone)
    assert not list((tmp_path / "b").glob("world-*"))


def test_a_finished_bank_is_opened_and_another_plan_refused(bank: PairBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = BankPlan(("town",), 1, 3, px=16, epochs=1, views=1)
    make_pair_bank(tmp_path / "b", plan, workers=1)
    monkeypatch.setattr(pairs, "_render_world", None)  # nothing may be rendered again
    assert len(make_pair_bank(tmp_path / "b", plan, workers=1)) == 1
    with pytest.raises(DataError, match="another plan"):
        make_pair_bank(tmp_path / "b", PLAN, workers=1)


def test_nothing_asked_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        make_pair_bank(tmp_path / "b", BankPlan((), 4, 1))
    with pytest.raises(InputError, match="no region"):
        make_pair_bank(tmp_path / "b", BankPlan(("atlantis",), 4, 1))


@pytest.mark.parametrize("name", ["drone.npy", "truth.npz"])
def test_damage_is_reported(name: str, tmp_path: Path) -> None:
    make_pair_bank(tmp_path / "b", BankPlan(("town",), 1, 3, px=16, epochs=1, views=1), workers=1)
    content = (tmp_path / "b" / name).read_bytes()
    (tmp_path / "b" / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="make it again"):
        PairBank.open(tmp_path / "b")


def test_a_damaged_world_of_an_unfinished_bank_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "_render_world", lambda folder, plan, number: (folder / f"world-{number:05d}.npz").write_bytes(b"PK"))
    with pytest.raises(DataError, match=r"world-00000\.npz.*delete it"):
        make_pair_bank(tmp_path / "b", BankPlan(("town",), 1, 3, px=16, epochs=1, views=1), workers=1)


def test_cameras_look_where_the_truth_says() -> None:
    rng = keyed_rng(1, "cameras")
    plan = BankPlan(("town",), 1, 1)
    for _ in range(200):
        centre, side = np.array([30.0, -20.0]), 150.0
        camera, (east, north, heading, pitch, height, fov) = draw_camera(plan, centre, side, rng)
        level = Camera(camera.east_m, camera.north_m, height, heading, pitch, fov, 64, 64)
        assert np.allclose(level.centre_on_ground(), centre + np.array([east, north]), atol=1e-6)
        assert max(abs(east), abs(north)) <= plan.offset * side
        assert plan.height_m[0] <= height <= plan.height_m[1]
        assert -100 < pitch < -45
