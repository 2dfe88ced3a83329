from __future__ import annotations

import numpy as np
import pytest
import torch

from crossfix.worlds.pairs import BankPlan, PairBank


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


def make_bank(places: int = 40, epochs: int = 2, views: int = 2, px: int = 48, seed: int = 0) -> PairBank:
    """Coloured patchwork places as a bank in memory: rendering worlds would take longer than all these tests."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 256, (places, 1, 9, 9, 3), dtype=np.uint8)
    satellite = blocks.repeat(px // 6, axis=2).repeat(px // 6, axis=3).repeat(epochs, axis=1)
    edge = (satellite.shape[2] - px) // 2
    drone = satellite[:, :1, edge : edge + px, edge : edge + px].repeat(views, axis=1)
    straight_down = {"offset_east_m": 0, "offset_north_m": 0, "heading_deg": 0, "pitch_deg": -90, "height_m": 50, "fov_deg": 90}
    truth = {name: np.full((places, views), value, np.float32) for name, value in straight_down.items()}
    truth |= {"region": np.arange(places) // 12 % 2, "side_m": np.full(places, 100, np.float32)}
    return PairBank(satellite, drone, truth, BankPlan(("suburb", "farmland"), places, seed, px, epochs, views))


@pytest.fixture(scope="session")
def bank() -> PairBank:
    return make_bank()


@pytest.fixture(scope="session")
def large_bank() -> PairBank:
    """Pictures of the bundled model's size, in worlds, with headings."""
    bank = make_bank(places=60, epochs=2, views=4, px=128)
    bank.truth["world_seed"] = np.repeat(range(5), 12)
    bank.truth["heading_deg"][:] = np.random.default_rng(0).uniform(0, 360, bank.truth["heading_deg"].shape)
    return bank
