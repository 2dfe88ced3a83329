import dataclasses
import json

import cv2
import numpy as np
import pytest
import torch

from crossfix.errors import ModelError
from crossfix.models.card import IMAGENET_MEAN, IMAGENET_STD, ModelCard, Preprocessing
from crossfix.models.describe import Describer, fit
from crossfix.models.fold import folded
from crossfix.models.gengeo import ArchConfig, GemConfig, MeanConfig, MixVprConfig, SaladConfig, build

SALAD = SaladConfig(clusters=16, cluster_dim=16, token_dim=16, hidden=64)
CONFIGS = {
    "resnet": ArchConfig("resnet18", 64, SALAD, stride=8),
    "convnext": ArchConfig("convnext_atto", 64, SALAD, stride=8),
    "mobilenet": ArchConfig("mobilenetv4_conv_small", 64, MeanConfig(), stride=16),
    "repvgg": ArchConfig("repvgg_a0", 64, GemConfig(dim=64), stride=8),
    "dinov2": ArchConfig("vit_small_patch14_dinov2.lvd142m", 70, SALAD, timm_kwargs={"depth": 4, "embed_dim": 96, "num_heads": 3}),
}


def model_of(name):
    torch.manual_seed(0)
    model = build(CONFIGS[name]).train()
    with torch.no_grad():
        for _ in range(3):  # batch statistics that folding must take into account
            model(1.5 * torch.randn(8, 3, model.config.px, model.config.px) + 0.3)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
    return model.eval(), ModelCard(name, model.config, Preprocessing(model.config.px))


def pictures(count=6, seed=0):
    """Smooth and textured pictures of many sizes."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(count):
        coarse = rng.integers(0, 256, (4 + i, 5 + i, 3), dtype=np.uint8)
        out.append(cv2.resize(coarse, (40 + 60 * i, 300 - 30 * i), interpolation=cv2.INTER_CUBIC))
    return out


def plain(model, images):
    """The same picture by picture in float32 PyTorch."""
    px = model.config.px
    mean, std = torch.tensor(IMAGENET_MEAN).view(3, 1, 1), torch.tensor(IMAGENET_STD).view(3, 1, 1)
    with torch.no_grad():
        rows = [model((torch.from_numpy(fit(i, px)).permute(2, 0, 1).float() / 255 - mean)[None] / std)[0] for i in images]
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(("precision", "least"), [("float32", 1 - 1e-5), ("bfloat16", 0.999)])
def test_equals_plain_pytorch(name, precision, least):
    model, card = model_of(name)
    images = pictures()
    desc = Describer(model, card, precision=precision, batch=4).describe(images)
    assert desc.shape == (6, model.dim)
    assert desc.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(desc, axis=1), 1, atol=1e-3 if precision == "bfloat16" else 1e-5)
    assert (desc * plain(model, images)).sum(1).min() > least


def test_order_batches_and_arrays():
    describer = Describer(*model_of("resnet"), batch=4)
    images = pictures(9)
    desc = describer.describe(images)
    assert describer.describe([]).shape == (0, describer.dim)
    for i in (0, 4, 8):
        assert (describer.describe([images[i]]) @ desc[i])[0] > 0.9999
    stack = np.stack([fit(i, 80) for i in images])
    np.testing.assert_array_equal(describer.describe(stack), describer.describe(list(stack)))
    np.testing.assert_array_equal(describer.describe(images), desc)
    assert len(np.unique(desc.round(3), axis=0)) == 9


def test_the_model_itself_is_left_alone():
    model, card = model_of("repvgg")
    before = {name: t.clone() for name, t in model.state_dict().items()}
    Describer(model, card).describe(pictures(1))
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())


def test_batch_norms_and_branches_are_gone():
    for name in ("resnet", "mobilenet", "repvgg"):
        model, _ = model_of(name)
        fast = folded(model, torch.randn(2, 3, 64, 64))
        assert not [m for m in fast.modules() if isinstance(m, torch.nn.BatchNorm2d)], name


def test_a_norm_that_cannot_be_folded_is_kept():
    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)

        def forward(self, x):
            y = self.conv(x)
            return y + self.norm(y)

    net = Twice().eval()
    torch.nn.init.constant_(net.norm.weight, 2.0)
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(folded(net, x)(x), net(x))


def test_convention_pictures_are_averaged_over_areas():
    """A checkerboard of single pixels shrinks to even grey, from pixel edges to pixel edges; no picture is cropped."""
    board = np.indices((128, 128)).sum(0) % 2 * 254
    grey = fit(np.repeat(board[..., None], 3, 2).astype(np.uint8), 64)
    assert (grey == 127).all()
    half = np.zeros((100, 200, 3), np.uint8)
    half[:, 100:] = 200
    np.testing.assert_array_equal(fit(half, 50), np.repeat(np.repeat([[0] * 25 + [200] * 25], 50, 0)[..., None], 3, 2))
    assert fit(np.full((3, 500, 3), 9, np.uint8), 64).shape == (64, 64, 3)
    small = np.full((1, 1, 3), 9, np.uint8)
    assert (fit(small, 64) == 9).all()
    same = pictures(1)[0][:40, :40]
    assert fit(same, 40) is same


@pytest.mark.parametrize(
    "image",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((0, 8, 3), np.uint8), None],
)
def test_what_is_no_picture(image):
    describer = Describer(*model_of("mobilenet"))
    with pytest.raises(ModelError, match=r"picture 1 is .*, expected uint8 \(height, width, 3\)"):
        describer.describe([np.zeros((8, 8, 3), np.uint8), image])


def test_descriptors_that_are_not_finite():
    model, card = model_of("mobilenet")
    model.encoder.net.conv_stem.weight.data[0] = torch.nan
    with pytest.raises(ModelError, match="descriptor of picture 0 is not finite"):
        Describer(model, card).describe(pictures(1))


def test_flat_pictures_are_described():
    flat = [np.full((50, 50, 3), level, np.uint8) for level in (0, 127, 255)]
    desc = Describer(*model_of("resnet")).describe(flat)
    np.testing.assert_allclose(np.linalg.norm(desc, axis=1), 1, atol=1e-3)


def test_digest_tells_weights_apart():
    model, card = model_of("mobilenet")
    first = Describer(model, card)
    assert first.sha256 == Describer(model, card, precision="float32").sha256
    model.encoder.net.conv_stem.weight.data[0, 0, 0, 0] += 1
    assert Describer(model, card).sha256 != first.sha256
    assert (first.model_id, first.dim, first.input_px) == ("mobilenet", 96, 64)


def test_unusable_devices():
    model, card = model_of("mobilenet")
    for device in ("cuda:99", "toaster"):
        with pytest.raises(ModelError, match="is not usable here"):
            Describer(model, card, device=device)


def test_queries_are_turned_as_the_card_says():
    model, card = model_of("resnet")
    square = [np.ascontiguousarray(picture[:40, :40]) for picture in pictures(3)]
    once, four = (Describer(model, dataclasses.replace(card, query_turns=turns)) for turns in (1, 4))
    assert once.sha256 == four.sha256  # descriptors stay comparable
    np.testing.assert_array_equal(once.describe_query(square), once.describe(square)[:, None])
    desc = four.describe_query(square)
    assert desc.shape == (3, 4, model.dim)
    for turn in range(4):
        np.testing.assert_array_equal(desc[:, turn], four.describe([np.rot90(picture, turn) for picture in square]))
    with pytest.raises(ModelError, match="3 turns"):
        dataclasses.replace(card, query_turns=3)


@pytest.mark.parametrize("px", [384, 96])
def test_three_of_four_pixels_are_averages_over_areas(px):
    rng = np.random.default_rng(0)
    side = px * 4 // 3
    picture = cv2.GaussianBlur(rng.integers(0, 256, (side, side, 3), dtype=np.uint8), (3, 3), 0)
    weight = np.zeros((px, side))  # by definition: how much of each input pixel lies under an output pixel
    for row in range(px):
        for column in range(side):
            weight[row, column] = max(0.0, min((row + 1) * 4 / 3, column + 1) - max(row * 4 / 3, column)) * 3 / 4
    mean = np.einsum("yi,xj,ijc->yxc", weight, weight, picture.astype(float), optimize=True)
    found = fit(picture, px).astype(float)
    assert np.abs(found - mean).max() <= 0.5 + 1e-6
    assert np.abs(found - cv2.resize(picture, (px, px), interpolation=cv2.INTER_AREA)).max() <= 1


def test_tensors_are_the_normalised_pictures_batch_by_batch():
    model, card = model_of("resnet")
    describer = Describer(model, card, batch=4)
    given = pictures(6)
    seen = []
    for start, img_BCHW in describer.tensors(given):
        assert img_BCHW.dtype == torch.float32
        assert img_BCHW.is_contiguous(memory_format=torch.channels_last)
        for row, img_CHW in enumerate(img_BCHW, start):
            expected = (fit(given[row], 64).astype(np.float64) / 255 - IMAGENET_MEAN) / IMAGENET_STD
            np.testing.assert_allclose(img_CHW.permute(1, 2, 0).numpy(), expected, atol=2e-6)
            seen.append(row)
    assert seen == list(range(6))


def test_prepared_pictures_have_the_same_descriptors():
    describer = Describer(*model_of("resnet"))
    given = pictures(6)
    np.testing.assert_array_equal(describer.describe(given), describer.describe([describer.prepare(image) for image in given]))


def test_pictures_from_the_ground_have_a_size_of_their_own():
    model, card = model_of("dinov2")
    sized = dataclasses.replace(card, preprocessing=Preprocessing(70, ground_hw=(42, 140)))
    panorama = [np.random.default_rng(0).integers(0, 256, (80, 160, 3), np.uint8)]
    describer = Describer(model, sized, precision="float32")
    with torch.no_grad():
        mean, std = torch.tensor(IMAGENET_MEAN).view(3, 1, 1), torch.tensor(IMAGENET_STD).view(3, 1, 1)
        want = model(((torch.from_numpy(fit(panorama[0], (42, 140))).permute(2, 0, 1).float() / 255 - mean) / std)[None]).numpy()
    np.testing.assert_allclose(describer.describe(panorama, kind="ground"), want, atol=1e-5)
    np.testing.assert_array_equal(describer.describe_query(panorama, kind="ground")[:, 0], describer.describe(panorama, kind="ground"))
    square = Describer(model, card, precision="float32")
    for kind in ("satellite", "drone", "query"):
        np.testing.assert_array_equal(describer.describe(panorama, kind=kind), square.describe(panorama))
    np.testing.assert_array_equal(square.describe(panorama, kind="ground"), square.describe(panorama))  # none of its own
    assert describer.sha256 != square.sha256


def test_the_middle_of_a_panorama_has_as_many_pixels_a_degree_down_as_across():
    rows = np.repeat(np.arange(180, dtype=np.uint8)[:, None], 360, 1)[..., None].repeat(3, 2)  # a whole sphere, a row a degree
    assert fit(rows, (60, 360), "middle")[:, 0, 0].tolist() == list(range(60, 120))
    flat = rows[60:120]
    np.testing.assert_array_equal(fit(flat, (60, 360), "middle"), fit(flat, (60, 360)))
    np.testing.assert_array_equal(fit(flat[20:], (60, 360), "middle"), fit(flat[20:], (60, 360)))  # nothing to cut


def test_a_card_without_panoramas_is_what_it_was():
    _, card = model_of("dinov2")
    assert set(card.to_dict()["preprocessing"]) == {"px", "mean", "std", "interpolation"}
    sized = dataclasses.replace(card, preprocessing=Preprocessing(70, ground_hw=(42, 140), ground_fit="middle"))
    assert ModelCard.from_dict(json.loads(json.dumps(sized.to_dict()))) == sized
    assert ModelCard.from_dict(card.to_dict()) == card
    with pytest.raises(ModelError, match="no size this version knows"):
        dataclasses.replace(card, preprocessing=Preprocessing(70, ground_fit="top"))  # type: ignore[arg-type]


def test_satellite_pictures_may_have_a_head_of_their_own():
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIGS["dinov2"], separate_heads=True)
    describer = Describer(build(config).eval(), ModelCard("two", config, Preprocessing(70)), precision="float32")
    some = pictures(2)
    assert not np.allclose(describer.describe(some), describer.describe_query(some)[:, 0], atol=1e-3)
    np.testing.assert_array_equal(describer.describe(some, kind="drone"), describer.describe_query(some)[:, 0])


def test_pictures_of_less_of_the_horizon_are_narrower():
    model, card = model_of("dinov2")
    describer = Describer(model, dataclasses.replace(card, preprocessing=Preprocessing(70, ground_hw=(42, 280))), precision="float32")
    panorama = np.random.default_rng(0).integers(0, 256, (42, 280, 3), np.uint8)
    some = panorama[:, 70:210]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        want = model(((torch.from_numpy(some.copy()).permute(2, 0, 1).float() / 255 - mean) / std)[None], "query").numpy()
    np.testing.assert_allclose(describer.describe([some], kind="ground", fov_deg=180), want, atol=1e-5)
    np.testing.assert_array_equal(
        describer.describe_query([some], kind="ground", fov_deg=178)[:, 0], describer.describe([some], kind="ground", fov_deg=180)
    )
    np.testing.assert_array_equal(describer.describe([some], kind="drone", fov_deg=180), describer.describe([some], kind="drone"))
    with pytest.raises(ModelError, match="cannot show 400 degrees"):
        describer.describe([some], kind="ground", fov_deg=400)


def test_heads_of_one_size_see_every_field_of_view_at_it():
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIGS["dinov2"], head=MixVprConfig(channels=8))
    describer = Describer(build(config).eval(), ModelCard("mix", config, Preprocessing(70, ground_hw=(70, 70))))
    some = [np.random.default_rng(0).integers(0, 256, (42, 100, 3), np.uint8)]
    np.testing.assert_array_equal(describer.describe(some, kind="ground", fov_deg=90), describer.describe(some, kind="ground"))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_narrow_view_keeps_as_many_tokens_as_the_head_needs(precision):
    torch.manual_seed(0)
    config = ArchConfig("resnet10t", 32, SaladConfig(clusters=6, cluster_dim=4, token_dim=4, hidden=8), stride=8)
    card = ModelCard("wide", config, Preprocessing(32, ground_hw=(16, 64)))
    describer = Describer(build(config).eval(), card, precision=precision)
    some = [np.random.default_rng(0).integers(0, 256, (16, 12, 3), np.uint8)]
    narrow, wider = (next(describer.tensors(some, kind="ground", fov_deg=fov))[1].shape[-2:] for fov in (30.0, 180.0))
    assert (narrow, wider) == ((16, 32), (16, 32)), "two rows of four tokens; 30 degrees alone would be two tokens"
    assert np.isfinite(describer.describe(some, kind="ground", fov_deg=30.0)).all()
