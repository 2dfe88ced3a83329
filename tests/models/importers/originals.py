"""The published forward passes, written from their definitions with plain functions, reading the published names."""

import math

import torch
import torch.nn.functional as F


def linear(p, name, x):
    return x @ p[f"{name}.weight"].flatten(1).T + p[f"{name}.bias"]


def layer_norm(p, name, x, eps=1e-6):
    mean, var = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
    return (x - mean) / (var + eps).sqrt() * p[f"{name}.weight"] + p[f"{name}.bias"]


def attention(query, key, value):
    """Heads of 64, each a softmax of scaled products; (B, N, D)."""
    out = []
    for q, k, v in zip(query.split(64, -1), key.split(64, -1), value.split(64, -1), strict=True):
        out.append(torch.softmax(q @ k.transpose(1, 2) / 8, -1) @ v)
    return torch.cat(out, -1)


def gelu(x):
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def swiglu(x):
    gate, value = x.chunk(2, -1)
    return gate * torch.sigmoid(gate) * value


def positions(grid_ND, rows, columns, offset):
    """DINOv2's bicubic resampling: with registers to the exact size and antialiased, without them by a step that is slightly off."""
    side = math.isqrt(len(grid_ND))
    if (rows, columns) == (side, side):
        return grid_ND
    map_1DHW = grid_ND.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    if offset:
        step = ((rows + offset) / side, (columns + offset) / side)
        out = F.interpolate(map_1DHW, scale_factor=step, mode="bicubic")
    else:
        out = F.interpolate(map_1DHW, size=(rows, columns), mode="bicubic", antialias=True)
    assert out.shape[-2:] == (rows, columns)
    return out[0].permute(1, 2, 0).reshape(rows * columns, -1)


def patches(p, name, img):
    kernel = p[f"{name}.weight"]
    side = kernel.shape[-1]
    return linear(p, name, F.unfold(img, side, stride=side).transpose(1, 2)), img.shape[-2] // side, img.shape[-1] // side


def dinov2_hub(p, img, prefix=""):
    """(patch tokens, class token) after the final norm, or before it where the checkpoint has none."""
    p = {name.removeprefix(prefix): tensor for name, tensor in p.items() if name.startswith(prefix)}
    tok, rows, columns = patches(p, "patch_embed.proj", img)
    registers = p.get("register_tokens", torch.zeros(1, 0, tok.shape[-1]))
    tok = tok + positions(p["pos_embed"][0, 1:], rows, columns, 0 if registers.shape[1] else 0.1)
    cls = p["cls_token"] + p["pos_embed"][:, :1]
    x = torch.cat([cls.expand(len(img), -1, -1), registers.expand(len(img), -1, -1), tok], 1)
    for i in range(sum(name.endswith(".ls1.gamma") for name in p)):
        b = f"blocks.{i}."
        if b + "ls1.gamma" not in p:  # chunks
            b = next(name for name in p if name.startswith("blocks.") and name.endswith(f".{i}.ls1.gamma")).removesuffix("ls1.gamma")
        x = x + p[b + "ls1.gamma"] * linear(
            p, b + "attn.proj", attention(*linear(p, b + "attn.qkv", layer_norm(p, b + "norm1", x)).chunk(3, -1))
        )
        y = layer_norm(p, b + "norm2", x)
        if b + "mlp.w12.weight" in p:
            y = linear(p, b + "mlp.w3", swiglu(linear(p, b + "mlp.w12", y)))
        else:
            y = linear(p, b + "mlp.fc2", gelu(linear(p, b + "mlp.fc1", y)))
        x = x + p[b + "ls2.gamma"] * y
    x = layer_norm(p, "norm", x) if "norm.weight" in p else x
    return x[:, 1 + registers.shape[1] :], x[:, 0]


def dinov2_timm(p, img):
    tok, rows, columns = patches(p, "patch_embed.proj", img)
    if "reg_token" in p:
        tok = tok + positions(p["pos_embed"][0], rows, columns, 0)
        prefix = torch.cat([p["cls_token"], p["reg_token"]], 1)
    else:
        tok = tok + positions(p["pos_embed"][0, 1:], rows, columns, 0.1)
        prefix = p["cls_token"] + p["pos_embed"][:, :1]
    x = torch.cat([prefix.expand(len(img), -1, -1), tok], 1)
    for i in range(sum(name.endswith(".ls1.gamma") for name in p)):
        b = f"blocks.{i}."
        x = x + p[b + "ls1.gamma"] * linear(
            p, b + "attn.proj", attention(*linear(p, b + "attn.qkv", layer_norm(p, b + "norm1", x)).chunk(3, -1))
        )
        y = linear(p, b + "mlp.fc1", layer_norm(p, b + "norm2", x))
        gated = y.shape[-1] == 2 * p[b + "mlp.fc2.weight"].shape[1]
        x = x + p[b + "ls2.gamma"] * linear(p, b + "mlp.fc2", swiglu(y) if gated else gelu(y))
    x = layer_norm(p, "norm", x)
    return x[:, prefix.shape[1] :], x[:, 0]


def dinov2_transformers(p, img, prefix=""):
    p = {name.removeprefix(prefix): tensor for name, tensor in p.items()}
    tok, rows, columns = patches(p, "embeddings.patch_embeddings.projection", img)
    registers = p.get("embeddings.register_tokens", torch.zeros(1, 0, tok.shape[-1]))
    tok = tok + positions(p["embeddings.position_embeddings"][0, 1:], rows, columns, 0 if registers.shape[1] else 0.1)
    cls = p["embeddings.cls_token"] + p["embeddings.position_embeddings"][:, :1]
    x = torch.cat([cls.expand(len(img), -1, -1), registers.expand(len(img), -1, -1), tok], 1)
    for i in range(sum(name.endswith(".layer_scale1.lambda1") for name in p)):
        b = f"encoder.layer.{i}."
        y = layer_norm(p, b + "norm1", x)
        y = attention(*(linear(p, f"{b}attention.attention.{part}", y) for part in ("query", "key", "value")))
        x = x + p[b + "layer_scale1.lambda1"] * linear(p, b + "attention.output.dense", y)
        y = layer_norm(p, b + "norm2", x)
        if b + "mlp.weights_in.weight" in p:
            y = linear(p, b + "mlp.weights_out", swiglu(linear(p, b + "mlp.weights_in", y)))
        else:
            y = linear(p, b + "mlp.fc2", gelu(linear(p, b + "mlp.fc1", y)))
        x = x + p[b + "layer_scale2.lambda1"] * y
    x = layer_norm(p, "layernorm", x)
    return x[:, 1 + registers.shape[1] :], x[:, 0]


def unit(x, dim=-1):
    return x / x.norm(dim=dim, keepdim=True)


def salad(p, img):
    """The head picture by picture: three half-iterations each of clusters and tokens over explicit masses, then the published layout."""
    tok_BND, cls_BD = dinov2_hub(p, img, "backbone.model.")
    out = []
    for tok_ND, cls_D in zip(tok_BND, cls_BD, strict=True):
        score_NM = linear(p, "aggregator.score.3", linear(p, "aggregator.score.0", tok_ND).relu())
        feature_NL = linear(p, "aggregator.cluster_features.3", linear(p, "aggregator.cluster_features.0", tok_ND).relu())
        tokens, clusters = score_NM.shape
        kernel = torch.cat([score_NM, p["aggregator.dust_bin"].expand(tokens, 1)], 1).double().exp().T
        mass = torch.ones(clusters + 1, dtype=torch.float64)
        mass[-1] = tokens - clusters
        v = torch.ones(tokens, dtype=torch.float64)
        for _ in range(3):
            u = mass / (kernel @ v)
            v = 1 / (kernel.T @ u)
        plan_MN = (u[:, None] * kernel * v)[:-1].float()
        cluster_ML = unit(plan_MN @ feature_NL)
        token = unit(linear(p, "aggregator.token_features.2", linear(p, "aggregator.token_features.0", cls_D).relu()))
        out.append(unit(torch.cat([token, cluster_ML.T.flatten()])))  # feature by feature, clusters running fastest
    return torch.stack(out)


def mixvpr(p, map_BDN, prefix=""):
    x = map_BDN
    for i in range(sum(name.startswith(f"{prefix}aggregator.mix.") and name.endswith(".mix.1.weight") for name in p)):
        mixer = f"{prefix}aggregator.mix.{i}.mix"
        x = x + linear(p, f"{mixer}.3", linear(p, f"{mixer}.1", layer_norm(p, f"{mixer}.0", x, 1e-5)).relu())
    x = linear(p, f"{prefix}aggregator.channel_proj", x.transpose(1, 2)).transpose(1, 2)
    return unit(linear(p, f"{prefix}aggregator.row_proj", x).flatten(1))


def cvcities(p, img, prefix="model."):
    tok_BND, _ = dinov2_hub(p, img, f"{prefix}backbone.dino_model.")
    return mixvpr(p, tok_BND.transpose(1, 2), prefix)


def resnet(p, img):
    """The map behind the last stage there is, by torchvision's names."""

    def conv_norm(conv, norm, x, stride=1):
        weight = p[f"{conv}.weight"]
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        mean, var, scale, shift = (p[f"{norm}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias"))
        return (x - mean) / (var + 1e-5).sqrt() * scale + shift

    x = F.max_pool2d(conv_norm("conv1", "bn1", img, 2).relu(), 3, 2, 1)
    for stage in (1, 2, 3, 4):
        i = 0
        while f"layer{stage}.{i}.conv1.weight" in p:
            b = f"layer{stage}.{i}"
            stride = 2 if stage > 1 and i == 0 else 1
            short = conv_norm(f"{b}.downsample.0", f"{b}.downsample.1", x, stride) if f"{b}.downsample.0.weight" in p else x
            if f"{b}.conv3.weight" in p:
                y = conv_norm(f"{b}.conv1", f"{b}.bn1", x).relu()
                y = conv_norm(f"{b}.conv3", f"{b}.bn3", conv_norm(f"{b}.conv2", f"{b}.bn2", y, stride).relu())
            else:
                y = conv_norm(f"{b}.conv2", f"{b}.bn2", conv_norm(f"{b}.conv1", f"{b}.bn1", x, stride).relu())
            x = (y + short).relu()
            i += 1
    return x


def resnet_mixvpr(p, img):
    return mixvpr(p, resnet({name.removeprefix("backbone.model."): tensor for name, tensor in p.items()}, img).flatten(2))


def cosplace(p, img):
    names = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
    backbone = {}
    for name, tensor in p.items():
        if name.startswith("backbone."):
            child, _, rest = name.removeprefix("backbone.").partition(".")
            backbone[f"{names[child]}.{rest}"] = tensor
    x = resnet(backbone, img)
    x = F.normalize(x, dim=1).clamp(min=1e-6) ** p["aggregation.1.p"]
    return unit(linear(p, "aggregation.3", x.mean((2, 3)) ** (1 / p["aggregation.1.p"])))


def sample4geo(p, img):
    """ConvNeXt (Liu et al., 2022) with channels last, mean over the map, norm; the loss compares unit vectors."""
    p = {name.removeprefix("model."): tensor for name, tensor in p.items()}

    def conv(name, x_BHWC, **options):
        return F.conv2d(x_BHWC.permute(0, 3, 1, 2), p[f"{name}.weight"], p[f"{name}.bias"], **options).permute(0, 2, 3, 1)

    x = layer_norm(p, "stem.1", conv("stem.0", img.permute(0, 2, 3, 1), stride=4))
    for stage in range(4):
        if stage:
            x = conv(f"stages.{stage}.downsample.1", layer_norm(p, f"stages.{stage}.downsample.0", x), stride=2)
        i = 0
        while f"stages.{stage}.blocks.{i}.gamma" in p:
            b = f"stages.{stage}.blocks.{i}"
            y = layer_norm(p, f"{b}.norm", conv(f"{b}.conv_dw", x, padding=3, groups=x.shape[-1]))
            x = x + p[f"{b}.gamma"] * linear(p, f"{b}.mlp.fc2", gelu(linear(p, f"{b}.mlp.fc1", y)))
            i += 1
    return unit(layer_norm(p, "head.norm", x.mean((1, 2))))
