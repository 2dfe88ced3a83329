import hashlib
import json
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from crossfix.errors import DiskError, ModelError
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.folder import load_card, load_model, save_model
from crossfix.models.gengeo import ArchConfig, GemConfig, SaladConfig, build

CONFIG = ArchConfig("resnet10t", 64, SaladConfig(clusters=8, cluster_dim=8, token_dim=12, hidden=32), stride=8)


def made(dtype="float32"):
    torch.manual_seed(0)
    model = build(CONFIG)
    model.train()
    for _ in range(2):  # running statistics that are not the initial ones
        model(2 * torch.randn(4, 3, 64, 64))
    card = ModelCard(
        "small",
        CONFIG,
        Preprocessing(64),
        description="for tests",
        recipe={"steps": 2, "optimiser": {"lr": 1e-3}},
        seed=0,
        metrics={"a": {"R@1": 0.5}},
        dtype=dtype,
    )
    return model.eval(), card


@pytest.fixture
def folder(tmp_path):
    save_model(tmp_path / "m", *made())
    return tmp_path / "m"


@pytest.mark.parametrize(("dtype", "atol"), [("float32", 0.0), ("float16", 2e-3)])
def test_round_trip(tmp_path, dtype, atol):
    model, card = made(dtype)
    written = save_model(tmp_path / "m", model, card)
    again, read = load_model(tmp_path / "m")
    assert read == written == replace(card, sha256=hashlib.sha256((tmp_path / "m/model.safetensors").read_bytes()).hexdigest())
    assert not again.training
    assert all(t.dtype in (torch.float32, torch.int64) for t in again.state_dict().values())
    img = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(again(img), model(img), atol=atol, rtol=0)
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["card.json", "model.safetensors"]


def test_float16_halves_matrices_and_keeps_vectors(tmp_path):
    save_model(tmp_path, *made("float16"))
    tensors = safetensors.torch.load_file(tmp_path / "model.safetensors")
    assert {t.dtype for t in tensors.values() if t.ndim >= 2} == {torch.float16}
    assert {t.dtype for t in tensors.values() if t.ndim < 2} == {torch.float32, torch.int64}


def test_other_files_stay_and_models_are_replaced(folder):
    (folder / "log.jsonl").write_text("{}")
    model, card = made("float16")
    save_model(folder, model, card)
    assert load_card(folder).dtype == "float16"
    assert (folder / "log.jsonl").exists()


@pytest.mark.parametrize("file", ["model.safetensors", "card.json"])
def test_missing_files(folder, file):
    (folder / file).unlink()
    with pytest.raises(ModelError, match=r"missing|cannot be read"):
        load_model(folder)


@pytest.mark.parametrize("at", [0, 9, 500, -1])
def test_tampered_weights(folder, at):
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[at] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match="sha256 differs"):
        load_model(folder)


def test_truncated_weights(folder):
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:1000])
    with pytest.raises(ModelError, match="sha256 differs"):
        load_model(folder)


def rewrite(folder, data=None, **changes):
    card = json.loads((folder / "card.json").read_text())
    if data is not None:
        (folder / "model.safetensors").write_bytes(data)
        card["sha256"] = hashlib.sha256(data).hexdigest()
    card.update(changes)
    (folder / "card.json").write_text(json.dumps(card))


def test_missing_and_foreign_keys(folder):
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    without = {name: t for name, t in tensors.items() if name != "head.dustbin"}
    rewrite(folder, safetensors.torch.save(without))
    with pytest.raises(ModelError, match=r"do not fit the card's architecture.*head.dustbin"):
        load_model(folder)
    rewrite(folder, safetensors.torch.save({**tensors, "extra": torch.zeros(1)}))
    with pytest.raises(ModelError, match="do not fit"):
        load_model(folder)
    rewrite(folder, safetensors.torch.save({**tensors, "head.score.0.weight": torch.zeros(1, 1)}))
    with pytest.raises(ModelError, match="do not fit"):
        load_model(folder)


def test_pickle_is_never_read(folder):
    import pickle

    rewrite(folder, pickle.dumps({"head.dustbin": 1}))
    with pytest.raises(ModelError, match="no safetensors file"):
        load_model(folder)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": 2}, "format 2, this version reads 1"),
        ({"architecture": {**CONFIG.to_dict(), "encoder": "resnet1000"}}, "unknown architecture: resnet1000"),
        ({"architecture": {**CONFIG.to_dict(), "head": {"kind": "x"}}}, "unknown head"),
        ({"architecture": {**CONFIG.to_dict(), "px": 72}}, "pictures of 64 px, the architecture expects 72"),
        ({"architecture": 3}, "card.json"),
        ({"preprocessing": {"px": 64}}, "missing or unknown entry"),
        ({"preprocessing": {"px": 64, "mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "lanczos"}}, "preprocessing is not one"),
        ({"dtype": "int8"}, "cannot be stored as int8"),
        ({"weather": "fine"}, "missing or unknown entry"),
    ],
)
def test_cards_that_cannot_be(folder, changes, says):
    rewrite(folder, **changes)
    with pytest.raises(ModelError, match=says) as caught:
        load_model(folder)
    assert "card.json" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_damaged_cards(folder, text):
    (folder / "card.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match="cannot be read"):
        load_card(folder)


def test_refuses_to_write_what_does_not_fit(tmp_path):
    model, card = made("float16")
    with pytest.raises(ModelError, match="another architecture"):
        save_model(tmp_path / "m", model, replace(card, architecture=replace(CONFIG, head=GemConfig())))
    model.head.score[0].weight.data[0, 0] = 1e6
    with pytest.raises(ModelError, match=r"not finite in float16: head.score.0.weight"):
        save_model(tmp_path / "m", model, card)
    assert not (tmp_path / "m").exists()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="cannot write the model"):
        save_model(tmp_path / "file", *made())


def test_a_full_disk_leaves_the_old_model(folder, monkeypatch):
    """The disk is full at the moment the weights are flushed."""
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskError, match="No space left"):
        save_model(folder, *made("float16"))
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_identity_changes_with_anything_that_decides_a_descriptor(folder):
    _, card = load_model(folder)
    same = replace(card, metrics={}, name="other", description="")
    assert same.identity("w") == card.identity("w")
    assert card.identity("v") != card.identity("w")
    assert replace(card, preprocessing=Preprocessing(64, mean=(0.5, 0.5, 0.5))).identity("w") != card.identity("w")
    assert replace(card, architecture=replace(CONFIG, positions="timm")).identity("w") != card.identity("w")
