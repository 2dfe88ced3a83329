from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossfix.errors import InputError
from crossfix.evaluate.compare import compare
from crossfix.evaluate.results import CLEAN, QueryFacts, Results

IMAGES = tuple(f"q/{number}.png" for number in range(40))
PLACES = tuple(f"p{number // 2}" for number in range(40))


def result(rank_Q: np.ndarray, name: str = "m", order: np.ndarray | None = None, stress: bool = False, **changes: Any) -> Results:
    order = np.arange(len(rank_Q)) if order is None else order
    settings = (CLEAN, "shift=0.1@gallery") if stress else (CLEAN,)
    rank_SQ = np.stack([rank_Q[order], rank_Q[order] + 1][: len(settings)]).astype(np.int32)
    facts = QueryFacts(
        tuple(IMAGES[i] for i in order), tuple(PLACES[i] for i in order), settings, rank_SQ, {"AP": (1 / rank_SQ).astype(np.float32)}
    )
    values: dict[str, Any] = {
        "dataset": "denseuav",
        "split": "test",
        "direction": "d2s",
        "protocol": "denseuav",
        "model": {"name": name},
        "paper": {},
        "strict": {"R@1": float((rank_Q == 1).mean())},
        "intervals95": {"R@1": [0.0, 1.0]},
        "top_percent": {"strict": 2},
        "queries": len(order),
        "places": 20,
        "gallery": 200,
        "seed": 0,
        "data_sha256": "d",
        **({"stress": [{"dial": "shift", "level": 0.1, "side": "gallery"}]} if stress else {}),
    }
    return Results(f"{name}/results.json", {**values, **changes}, facts)


RANKS = np.random.default_rng(0).integers(1, 4, (3, 40))


def test_queries_are_paired_by_name_whatever_their_order():
    shuffled = np.random.default_rng(1).permutation(40)
    straight = compare([result(RANKS[0], "a"), result(RANKS[1], "b")], draws=500)
    mixed = compare([result(RANKS[0], "a"), result(RANKS[1], "b", shuffled)], draws=500)
    assert straight["pairs"] == mixed["pairs"]
    hit = RANKS == 1
    pair = straight["pairs"][0]
    assert pair["differences"]["R@1"]["difference"] == pytest.approx(hit[1].mean() - hit[0].mean())
    assert pair["differences"]["AP"]["difference"] == pytest.approx((1 / RANKS[1]).mean() - (1 / RANKS[0]).mean(), abs=1e-6)
    assert pair["first_right"] == {
        "both": int((hit[0] & hit[1]).sum()),
        "one": int((hit[0] & ~hit[1]).sum()),
        "other": int((hit[1] & ~hit[0]).sum()),
        "neither": int((~hit[0] & ~hit[1]).sum()),
    }


def test_a_model_does_not_differ_from_itself_in_another_order():
    order = np.random.default_rng(2).permutation(40)
    found = compare([result(RANKS[0], "a"), result(RANKS[0], "b", order)], draws=200)["pairs"][0]["differences"]
    assert all(row == {"difference": 0.0, "interval95": [0.0, 0.0], "excludes0": False} for row in found.values())


def test_every_pair_is_compared_and_shared_stress_too():
    told: list[tuple[int, int]] = []
    three = [result(RANKS[0], "a", stress=True), result(RANKS[1], "b", stress=True), result(RANKS[2], "a")]
    compared = compare(three, draws=100, progress=lambda done, total: told.append((done, total)))
    assert [(pair["one"], pair["other"]) for pair in compared["pairs"]] == [(0, 1), (0, 2), (1, 2)]
    assert [len(pair["stress"]) for pair in compared["pairs"]] == [1, 0, 0]
    assert compared["pairs"][0]["stress"][0]["differences"]["R@1"]["difference"] == 0.0  # nobody ranks first when all ranks grow by one
    assert [row["label"] for row in compared["results"]] == ["a (a) #1", "b", "a (a) #2"]
    assert told[-1] == (100, 100)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"split": "val"}, "its split is val, that of a/results.json test"),
        ({"dataset": "sues200"}, "its dataset is sues200"),
        ({"direction": "s2d"}, "its direction is s2d"),
        ({"data_sha256": "e"}, "its pictures, gallery or positives are not those of a/results.json"),
        ({"seed": 4, "stress": []}, None),
    ],
)
def test_other_tasks_are_refused(changes: dict[str, Any], what: str | None):
    pair = [result(RANKS[0], "a"), result(RANKS[1], "b", **changes)]
    if what is None:
        assert compare(pair, draws=10)["pairs"]
        return
    with pytest.raises(InputError, match=what):
        compare(pair, draws=10)


def test_other_queries_places_and_seeds_are_refused():
    with pytest.raises(InputError, match=r"0 are not there and 2 are missing here, such as q/38.png"):
        compare([result(RANKS[0], "a"), result(RANKS[1], "b", np.arange(38))])
    moved = result(RANKS[1], "b")
    moved = Results(moved.where, moved.values, QueryFacts(**{**moved.facts.__dict__, "place": ("elsewhere", *PLACES[1:])}))
    with pytest.raises(InputError, match="1 of its queries show another place"):
        compare([result(RANKS[0], "a"), moved])
    with pytest.raises(InputError, match=r"drawn with the seed 4, those of a/results.json with 0"):
        compare([result(RANKS[0], "a", stress=True), result(RANKS[1], "b", stress=True, seed=4)])
    for few in ([], [result(RANKS[0])], [result(RANKS[0])] * 9):
        with pytest.raises(InputError, match="cannot be compared"):
            compare(few)
