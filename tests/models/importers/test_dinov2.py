import originals
import pytest
import random_checkpoints as published
import safetensors.torch
import torch

from crossfix.errors import ModelError
from crossfix.models.folder import load_model
from crossfix.models.importers.registry import import_model

REGISTERS = [0, 4]
GATED = [False, True]


def imported(tmp_path, tensors, **options):
    torch.save(tensors, tmp_path / "theirs.pth")
    import_model(tmp_path / "theirs.pth", "dinov2", tmp_path / "ours", **options)
    return load_model(tmp_path / "ours")


def same(model, original, *sizes):
    for height, width in sizes:
        img = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            ours, (tok, cls) = model.encoder(img), original(img)
        torch.testing.assert_close(ours[0], tok, atol=1e-4, rtol=0)
        torch.testing.assert_close(ours[1], cls, atol=1e-4, rtol=0)
        assert tok.std() > 0.3


@pytest.mark.parametrize("registers", REGISTERS)
@pytest.mark.parametrize("gated", GATED)
def test_convention_the_hubs_form(tmp_path, registers, gated):
    tensors = published.draw(published.hub(width=128, registers=registers, gated=gated))
    model, card = imported(tmp_path, tensors, px=70)
    same(model, lambda img: originals.dinov2_hub(tensors, img), (70, 70), (84, 84), (42, 112))
    assert card.recipe["imported"]["form"] == "torch hub"


@pytest.mark.parametrize("registers", REGISTERS)
@pytest.mark.parametrize("gated", GATED)
def test_convention_timms_form(tmp_path, registers, gated):
    tensors = published.draw(published.timm(width=128, registers=registers, gated=gated))
    model, card = imported(tmp_path, tensors, px=70)
    same(model, lambda img: originals.dinov2_timm(tensors, img), (70, 70), (42, 112))
    assert card.recipe["imported"]["form"] == "timm"


@pytest.mark.parametrize("registers", REGISTERS)
@pytest.mark.parametrize("gated", GATED)
@pytest.mark.parametrize("prefix", ["", "dinov2_with_registers."])
def test_convention_transformers_form(tmp_path, registers, gated, prefix):
    tensors = published.draw(published.transformers(width=128, registers=registers, gated=gated, prefix=prefix))
    model, card = imported(tmp_path, tensors, px=70)
    same(model, lambda img: originals.dinov2_transformers(tensors, img, prefix), (70, 70), (42, 112))
    assert card.recipe["imported"]["form"] == "transformers"


def test_blocks_in_chunks(tmp_path):
    tensors = published.draw(published.hub(depth=4))
    chunked = {}
    for name, tensor in tensors.items():
        parts = name.split(".")
        chunked[".".join(["blocks", str(int(parts[1]) // 2), *parts[1:]]) if parts[0] == "blocks" else name] = tensor
    assert "blocks.1.3.norm1.weight" in chunked
    model, _ = imported(tmp_path, chunked, px=70)
    same(model, lambda img: originals.dinov2_hub(tensors, img), (56, 56))


def test_the_published_small_size(tmp_path):
    tensors = published.draw(published.hub(width=384, depth=12, grid=37))
    safetensors.torch.save_file({name: tensor.half() for name, tensor in tensors.items()}, tmp_path / "dinov2_vits14_pretrain.safetensors")
    card = import_model(tmp_path / "dinov2_vits14_pretrain.safetensors", "dinov2", tmp_path / "ours")
    assert (card.architecture.encoder, card.architecture.timm_kwargs) == ("vit_small_patch14_dinov2", {})
    assert (card.preprocessing.px, card.architecture.head.kind, card.licence, card.head_trained) == (322, "cls", "Apache-2.0", True)
    assert (card.name, card.seed) == ("dinov2_vits14_pretrain", None)
    tensors = {name: tensor.half().float() for name, tensor in tensors.items()}
    model, _ = load_model(tmp_path / "ours")
    img = torch.randn(1, 3, 98, 126)
    with torch.no_grad():
        torch.testing.assert_close(model(img), originals.unit(originals.dinov2_hub(tensors, img)[1]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("sizes", "name"),
    [
        ({"width": 384, "depth": 12}, "vit_small_patch14_dinov2"),
        ({"width": 768, "depth": 12}, "vit_base_patch14_dinov2"),
        ({"width": 768, "depth": 12, "registers": 4}, "vit_base_patch14_reg4_dinov2"),
        ({"width": 1024, "depth": 24}, "vit_large_patch14_dinov2"),
        ({"width": 1536, "depth": 40, "gated": True, "hidden": 4096}, "vit_giant_patch14_dinov2"),
    ],
)
def test_published_sizes_get_timms_names(sizes, name):
    from crossfix.models.importers.dinov2 import find_encoder

    for form in (published.hub, published.timm, published.transformers):
        tensors = {key: torch.empty(shape, device="meta") for key, shape in form(grid=37, **sizes).items()}
        encoder = find_encoder(tensors, "")
        assert (encoder.timm_name, encoder.timm_kwargs) == (name, {})


@pytest.mark.parametrize(("head", "trained"), [("cls", True), ("mean", True), ("gem", True), ("salad", False)])
def test_heads(tmp_path, head, trained):
    tensors = published.draw(published.hub(grid=9))
    model, card = imported(tmp_path, tensors, px=126, head=head)
    assert card.architecture.head.kind == head
    assert card.head_trained is trained
    assert ("untrained" in card.description) is not trained
    with torch.no_grad():
        assert model(torch.randn(1, 3, 126, 126)).norm().item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("norm.weight"), r"1 missing \(norm.weight\)"),
        (lambda t: t.pop("blocks.1.ls2.gamma"), r"1 missing \(blocks.1.ls2.gamma\)"),
        (lambda t: t.update({"head.weight": torch.zeros(3)}), r"1 unexpected \(head.weight\)"),
        (lambda t: t.update({"pos_embed": torch.zeros(1, 25, 64)}), "25 positions, which are not a square grid and a class token's"),
        (
            lambda t: t.update({"blocks.1.mlp.fc2.bias": torch.zeros(65)}),
            r"1 of another shape \(blocks.1.mlp.fc2.bias is of shape 65, .*64\)",
        ),
        (lambda t: t.pop("blocks.0.mlp.fc2.weight"), r"1 missing \(blocks.0.mlp.fc2.weight\)"),
        (lambda t: t.update({"patch_embed.proj.weight": torch.zeros(64, 588)}), "is of shape 64 x 588, expected 4 dimensions"),
        (lambda t: t.update({"patch_embed.proj.weight": torch.zeros(60, 3, 14, 14)}), "width of 60 is no multiple of 64"),
        (lambda t: t.update({"patch_embed.proj.weight": torch.zeros(64, 4, 14, 14)}), "is of shape 64 x 4 x 14 x 14, .*64 x 3 x 14 x 14"),
        (lambda t: t.update({"blocks.7.norm1.weight": torch.zeros(64)}), r"14 missing \(blocks.2.norm1.weight, .*\), 1 unexpected"),
    ],
)
def test_tensors_that_are_not_as_published(tmp_path, change, says):
    tensors = published.draw(published.hub())
    change(tensors)
    with pytest.raises(ModelError, match=says) as caught:
        imported(tmp_path, tensors, px=70)
    assert str(tmp_path / "theirs.pth") in str(caught.value)
    assert not (tmp_path / "ours").exists()


def test_options_that_make_no_sense(tmp_path):
    tensors = published.draw(published.hub())
    with pytest.raises(ModelError, match="choose from cls, mean, gem, salad"):
        imported(tmp_path, tensors, head="fancy")
    with pytest.raises(ModelError, match="do not divide into patches of 14"):
        imported(tmp_path, tensors, px=100)
