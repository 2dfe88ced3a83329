import pytest
import safetensors.torch
import timm
import torch

from crossfix.errors import ModelError
from crossfix.models.encoder import TokenEncoder
from crossfix.models.positions import resample_positions

DINO = "vit_small_patch14_dinov2.lvd142m"
DINO_REG = "vit_small_patch14_reg4_dinov2.lvd142m"
SMALL = {"depth": 3, "embed_dim": 48, "num_heads": 3}


def with_noise(encoder):
    """Position embeddings, class token, registers and layers' scales that are not near zero, so that a wrong one is seen."""
    torch.manual_seed(0)
    for name, p in encoder.net.named_parameters():
        if name.endswith(".gamma"):
            torch.nn.init.ones_(p)
    for name in ("pos_embed", "cls_token", "reg_token"):
        if getattr(encoder.net, name, None) is not None:
            torch.nn.init.normal_(getattr(encoder.net, name))
    return encoder.eval()


@pytest.mark.parametrize(
    "name",
    [DINO, DINO_REG, "vit_giant_patch14_dinov2", "deit3_small_patch16_224", "vit_base_patch16_clip_224", "vit_base_patch16_siglip_224"],
)
@pytest.mark.parametrize("grid", [(16, 16), (10, 54)])
def test_transformers_equal_timm(name, grid):
    kwargs = {**SMALL, "global_pool": "avg"} if "siglip" in name else SMALL
    patch = 14 if "dinov2" in name else 16
    encoder = with_noise(TokenEncoder(name, img_px=16 * patch, positions="timm", **kwargs))
    img = torch.randn(2, 3, grid[0] * patch, grid[1] * patch)
    with torch.no_grad():
        tok, cls = encoder(img)
        whole = encoder.net.forward_features(img)
    assert tok.shape == (2, grid[0] * grid[1], 48) == (2, whole.shape[1] - encoder.net.num_prefix_tokens, encoder.dim)
    torch.testing.assert_close(tok, whole[:, encoder.net.num_prefix_tokens :])
    assert (cls is not None) == encoder.has_cls == ("siglip" not in name)
    if cls is not None:
        torch.testing.assert_close(cls, whole[:, 0])
    assert encoder.grid(*img.shape[-2:]) == grid


@pytest.mark.parametrize("grid", [(10, 55), (27, 27)])
def test_convention_original_positions_are_the_default_for_dinov2_without_registers(grid):
    """For panoramas as for square pictures."""
    encoder = with_noise(TokenEncoder(DINO, img_px=224, **SMALL))
    size = (14 * grid[0], 14 * grid[1])
    img = torch.randn(1, 3, *size)
    with torch.no_grad():
        tok, _ = encoder(img)
        timms, _ = with_noise(TokenEncoder(DINO, img_px=224, positions="timm", **SMALL)).requires_grad_(False)(img)
        fixed = timm.create_model(DINO, num_classes=0, img_size=size, **SMALL).eval()
        state = encoder.net.state_dict()
        pos = state["pos_embed"]
        state["pos_embed"] = torch.cat([pos[:, :1], resample_positions(pos[:, 1:], (37, 37), grid, offset=0.1)], 1)
        fixed.load_state_dict(state)
        whole = fixed.forward_features(img)
    torch.testing.assert_close(tok, whole[:, 1:])
    assert (tok - timms).abs().max() > 1e-2


@pytest.mark.parametrize("grid", [(10, 55), (27, 27)])
def test_with_registers_original_and_timm_are_the_same(grid):
    """DINOv2's authors resample these to the exact size, antialiased, as timm does."""
    img = torch.randn(1, 3, 14 * grid[0], 14 * grid[1])
    first, second = (with_noise(TokenEncoder(DINO_REG, img_px=224, positions=how, **SMALL)) for how in ("original", "timm"))
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(first(img)[0], second(img)[0])


def test_registers_are_skipped():
    encoder = with_noise(TokenEncoder(DINO_REG, img_px=224, **SMALL))
    assert encoder.net.num_prefix_tokens == 5
    tok, cls = encoder(torch.randn(1, 3, 224, 224))
    assert tok.shape[1] == 256
    assert cls.shape == (1, 48)


@pytest.mark.parametrize("size", [(224, 230), (100, 224), (0, 224), (13, 13)])
def test_sizes_that_patches_do_not_divide(size):
    encoder = TokenEncoder(DINO, img_px=224, **SMALL)
    for call in (lambda: encoder.grid(*size), lambda: encoder(torch.zeros(1, 3, *size))):
        with pytest.raises(ModelError, match="do not divide into patches of 14; resize to"):
            call()
    with pytest.raises(ModelError, match="resize to 322 x 322"):
        TokenEncoder(DINO, img_px=320, **SMALL)


def test_only_the_last_blocks_and_the_final_norm_train():
    encoder = with_noise(TokenEncoder(DINO, img_px=224, **SMALL))
    encoder.train_last_blocks(2)
    img = torch.randn(1, 3, 56, 56)
    tok, cls = encoder(img)
    (tok.sum() + cls.square().sum()).backward()
    trained = {name.split(".")[0] + "." + name.split(".")[1] for name, p in encoder.net.named_parameters() if p.grad is not None}
    assert trained == {"blocks.1", "blocks.2", "norm.weight", "norm.bias"}
    assert all(p.requires_grad == (p.grad is not None) for p in encoder.net.parameters())
    free = TokenEncoder(DINO, img_px=224, **SMALL).eval()
    free.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(free(img)[0], tok)
    encoder.train_last_blocks(0)
    assert [n for n, p in encoder.net.named_parameters() if p.requires_grad] == ["norm.weight", "norm.bias"]
    encoder(img)[0].sum().backward()
    for wrong in (-1, 4):
        with pytest.raises(ModelError, match="of 3 blocks"):
            encoder.train_last_blocks(wrong)


def test_without_the_final_norm_published_weights_are_still_read(tmp_path):
    """Weights on disk have the norm, which timm would refuse."""
    img = torch.randn(1, 3, 56, 56)
    normed = with_noise(TokenEncoder(DINO, img_px=56, **SMALL))
    safetensors.torch.save_file(normed.net.state_dict(), tmp_path / "w.safetensors")
    plain = TokenEncoder(DINO, img_px=56, pretrained=tmp_path / "w.safetensors", final_norm=False, trainable_blocks=1, **SMALL).eval()
    with torch.no_grad():
        before, cls = plain(img)
        torch.testing.assert_close(normed.net.norm(before), normed(img)[0])
        torch.testing.assert_close(normed.net.norm(cls), normed(img)[1])
    assert not [name for name in plain.state_dict() if "net.norm" in name]
    assert {name.split(".")[1] for name, p in plain.net.named_parameters() if p.requires_grad} == {"2"}


def kept_for_backward(encoder):
    """Bytes that a training step's forward pass keeps, parameters aside."""
    own = {p.data_ptr() for p in encoder.parameters()}
    kept = []

    def pack(tensor):
        if tensor.data_ptr() not in own:
            kept.append(tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        encoder.train()(torch.randn(1, 3, 56, 56))
    return sum(kept)


def test_frozen_blocks_keep_no_activations():
    """A network twice as deep keeps no byte more, as long as equally many of its blocks train."""

    def kept(depth, **trained):
        return kept_for_backward(TokenEncoder(DINO, img_px=56, **{**SMALL, "depth": depth}, **trained))

    assert kept(3, trainable_blocks=1) == kept(6, trainable_blocks=1) > 0
    assert kept(3, trainable_blocks=1) < kept(3, trainable_blocks=2) < kept(3, trainable_blocks=3) < kept(3)


def test_frozen_blocks_drop_nothing():
    encoder = with_noise(TokenEncoder(DINO, img_px=56, **SMALL, trainable_blocks=0, drop_path_rate=0.5, pos_drop_rate=0.5))
    img = torch.randn(1, 3, 56, 56)
    still = encoder(img)[0]
    torch.testing.assert_close(encoder.train()(img)[0], still)
    encoder.train_last_blocks(3)
    assert (encoder(img)[0] - still).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("name", "stride", "dim"),
    [
        ("resnet18", 8, 128),
        ("resnet10t", 16, 256),
        ("resnet14t", 8, 512),
        ("convnext_atto", 16, 160),
        ("mobilenetv4_conv_small", 16, 96),
        ("repvgg_a0", 8, 96),
        ("mobilenetv2_100", 32, 320),
    ],
)
def test_convolutional_networks_are_cut(name, stride, dim):
    encoder = TokenEncoder(name, img_px=64, stride=stride).eval()
    with torch.no_grad():
        tok, cls = encoder(torch.randn(2, 3, 64, 96))
    rows, columns = encoder.grid(64, 96)
    assert (rows, columns) == (64 // stride, 96 // stride)
    assert cls is None
    assert not encoder.has_cls
    assert tok.shape == (2, rows * columns, dim) == (2, rows * columns, encoder.dim)
    whole = timm.create_model(name)
    assert sum(p.numel() for p in encoder.parameters()) < 0.75 * sum(p.numel() for p in whole.parameters())
    with pytest.raises(ModelError, match="only transformers"):
        encoder.train_last_blocks(1)


def test_tokens_of_a_map_come_row_by_row():
    encoder = TokenEncoder("resnet10t", img_px=64, stride=8).eval()
    img = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        tok, _ = encoder(img)
        full = encoder.net(img)[-1]
    torch.testing.assert_close(tok[0, 12 * 3 + 5], full[0, :, 3, 5])


def test_odd_sizes_of_convolutional_networks():
    encoder = TokenEncoder("resnet10t", img_px=100, stride=8).eval()
    with torch.no_grad():
        tok, _ = encoder(torch.randn(1, 3, 101, 67))
    rows, columns = encoder.grid(101, 67)
    assert tok.shape[1] == rows * columns
    assert next(encoder.parameters()).device.type == "cpu"  # grid works on a copy


@pytest.mark.parametrize("size", [(7, 64), (64, 7), (0, 64)])
@pytest.mark.parametrize(("name", "stride"), [("convnext_atto", 8), ("resnet10t", 8)])
def test_pictures_smaller_than_a_token(name, stride, size):
    encoder = TokenEncoder(name, img_px=64, stride=stride)
    for call in (lambda: encoder.grid(*size), lambda: encoder(torch.zeros(1, 3, *size))):
        with pytest.raises(ModelError, match=f"{size[0]} x {size[1]} pixels are smaller than a token of 8"):
            call()


@pytest.mark.parametrize(
    ("name", "stride", "says"),
    [
        ("resnet1888", 8, "no such architecture"),
        ("hf-hub:someone/something", None, "no such architecture"),
        ("resnet18", 7, "no map of stride 7; choose one of 2, 4, 8, 16, 32"),
        ("resnet18", None, "not a vision transformer"),
        ("swin_tiny_patch4_window7_224", 8, "no map of stride 8"),
        ("deit_tiny_distilled_patch16_224", None, "not a vision transformer"),
    ],
)
def test_encoders_that_cannot_be(name, stride, says):
    with pytest.raises(ModelError, match=says):
        TokenEncoder(name, img_px=224, stride=stride)


# Panoramas as squares


@pytest.mark.parametrize(("name", "stride"), [("resnet10t", 8), ("vit_tiny_patch16_224", None)])
def test_a_panorama_is_its_squares_side_by_side(name, stride):
    encoder = TokenEncoder(name, img_px=32, stride=stride, squares=True).eval()
    img = torch.randn(2, 3, 32, 96)
    with torch.no_grad():
        tok, cls = encoder(img)
        apart = [encoder(part) for part in img.split(32, dim=3)]
    rows, columns = encoder.grid(32, 96)
    map_BHWD = tok.reshape(2, rows, columns, -1)
    for square, (own, _) in zip(map_BHWD.chunk(3, dim=2), apart, strict=True):
        torch.testing.assert_close(square.flatten(1, 2), own, atol=1e-5, rtol=1e-4)
    if cls is not None:
        torch.testing.assert_close(cls, torch.stack([own for _, own in apart]).mean(0), atol=1e-5, rtol=1e-4)
    with pytest.raises(ModelError, match="32 x 80 pixels do not divide into squares; resize to 32 x 64"):
        encoder(torch.zeros(1, 3, 32, 80))


def test_views_encoded_together_share_their_statistics():
    encoder = TokenEncoder("resnet10t", img_px=32, stride=8, squares=True).train()
    square, wide = torch.randn(4, 3, 32, 32), 3 * torch.randn(2, 3, 32, 64)
    (tok, _), (wide_tok, _) = encoder.together([square, wide])
    every, _ = encoder(torch.cat([square, wide[:1, :, :, :32], wide[:1, :, :, 32:], wide[1:, :, :, :32], wide[1:, :, :, 32:]]))
    torch.testing.assert_close(tok, every[:4])
    assert wide_tok.shape == (2, 2 * tok.shape[1], tok.shape[2])
    assert (tok - encoder(square)[0]).abs().max() > 0.01, "alone they have other statistics"
    apart = TokenEncoder("resnet10t", img_px=32, stride=8).eval()
    with torch.no_grad():
        for (found, _), view in zip(apart.together([square, wide]), (square, wide), strict=True):
            torch.testing.assert_close(found, apart(view)[0])


# Tokens that know where they stand


@pytest.mark.parametrize(("name", "stride"), [("resnet10t", 8), ("vit_tiny_patch16_224", None)])
def test_coordinates_begin_at_nothing_and_tell_places_apart(name, stride):
    torch.manual_seed(0)
    plain = TokenEncoder(name, img_px=32, stride=stride).eval()
    torch.manual_seed(0)
    told = TokenEncoder(name, img_px=32, stride=stride, coordinates=True).eval()
    img = torch.randn(2, 3, 32, 48)
    with torch.no_grad():
        before, after = plain(img)[0], told(img)[0]
        assert torch.equal(before, after)
        told.where[0] = 1.0  # x
        told.where[1] = 10.0  # y
        change = told(img)[0] - before
    rows, columns = told.grid(32, 48)
    x, y = torch.linspace(-1 + 1 / columns, 1 - 1 / columns, columns), torch.linspace(-1 + 1 / rows, 1 - 1 / rows, rows)
    wanted = (x + 10 * y[:, None]).flatten()[None, :, None].expand_as(change)
    torch.testing.assert_close(change, wanted, atol=2e-5, rtol=1e-5)


def test_coordinates_learn_and_go_with_every_square_of_a_panorama():
    encoder = TokenEncoder("resnet10t", img_px=32, stride=8, squares=True, coordinates=True)
    encoder(torch.randn(2, 3, 32, 32))[0].square().sum().backward()
    assert encoder.where.grad.abs().amin() > 0
    with torch.no_grad():
        encoder.eval().where.normal_()
        img = torch.randn(1, 3, 32, 32)
        wide = encoder(torch.cat([img, img], 3))[0].reshape(1, 4, 2, 4, -1)
        torch.testing.assert_close(wide[:, :, 0], wide[:, :, 1])
        torch.testing.assert_close(wide[:, :, 0].flatten(1, 2), encoder(img)[0])
