"""Checkpoints of random numbers with the published names and shapes, sizes free."""

import math

import torch


def draw(shapes, seed=0):
    """Random tensors that neither vanish nor explode: a wrong one is seen in every output."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        if name.endswith(("running_var",)):
            out[name] = 0.5 + noise.square()
        elif name.endswith("num_batches_tracked"):
            out[name] = torch.tensor(7)
        elif name.endswith("weight") and len(shape) == 1:  # norms
            out[name] = 1 + 0.3 * noise
        elif name.endswith("weight"):
            out[name] = noise / math.sqrt(math.prod(shape[1:]))
        elif name.endswith(".p"):
            out[name] = 3 + 0.3 * noise
        else:
            out[name] = 0.3 * noise
    return out


def norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def linear(name, wide, narrow, *kernel):
    return {f"{name}.weight": (narrow, wide, *kernel), f"{name}.bias": (narrow,)}


def hub(width=64, depth=2, grid=5, registers=0, gated=False, hidden=None, patch=14, prefix="", final_norm=True):
    """dinov2_vit*14_pretrain.pth and ..._reg4_pretrain.pth."""
    hidden = hidden or (172 if gated else 4 * width)
    shapes = {"cls_token": (1, 1, width), "pos_embed": (1, 1 + grid * grid, width)}
    if registers:
        shapes["register_tokens"] = (1, registers, width)
    shapes |= {"mask_token": (1, width), **linear("patch_embed.proj", 3, width, patch, patch)}
    for i in range(depth):
        block = {**norm("norm1", width), **linear("attn.qkv", width, 3 * width), **linear("attn.proj", width, width)}
        block |= {"ls1.gamma": (width,), **norm("norm2", width)}
        if gated:
            block |= {**linear("mlp.w12", width, 2 * hidden), **linear("mlp.w3", hidden, width)}
        else:
            block |= {**linear("mlp.fc1", width, hidden), **linear("mlp.fc2", hidden, width)}
        shapes |= {f"blocks.{i}.{name}": shape for name, shape in {**block, "ls2.gamma": (width,)}.items()}
    if final_norm:
        shapes |= norm("norm", width)
    return {prefix + name: shape for name, shape in shapes.items()}


def timm(width=64, depth=2, grid=5, registers=0, gated=False, hidden=None):
    """vit_*_patch14_dinov2 and vit_*_patch14_reg4_dinov2, as timm saves them: gates are packed into fc1."""
    shapes = {}
    for name, shape in hub(width, depth, grid, registers, gated, hidden).items():
        if name == "pos_embed" and registers:
            shape = (1, grid * grid, width)
        name = name.replace("register_tokens", "reg_token").replace("mlp.w12", "mlp.fc1").replace("mlp.w3", "mlp.fc2")
        if name != "mask_token":
            shapes[name] = shape
    return shapes


def transformers(width=64, depth=2, grid=5, registers=0, gated=False, hidden=None, prefix=""):
    """Dinov2Model, Dinov2WithRegistersModel."""
    hidden = hidden or (172 if gated else 4 * width)
    shapes = {
        "embeddings.cls_token": (1, 1, width),
        "embeddings.mask_token": (1, width),
        "embeddings.position_embeddings": (1, 1 + grid * grid, width),
        **linear("embeddings.patch_embeddings.projection", 3, width, 14, 14),
    }
    if registers:
        shapes["embeddings.register_tokens"] = (1, registers, width)
    for i in range(depth):
        block = norm("norm1", width)
        for part in ("query", "key", "value"):
            block |= linear(f"attention.attention.{part}", width, width)
        block |= {**linear("attention.output.dense", width, width), "layer_scale1.lambda1": (width,), **norm("norm2", width)}
        if gated:
            block |= {**linear("mlp.weights_in", width, 2 * hidden), **linear("mlp.weights_out", hidden, width)}
        else:
            block |= {**linear("mlp.fc1", width, hidden), **linear("mlp.fc2", hidden, width)}
        shapes |= {f"encoder.layer.{i}.{name}": shape for name, shape in {**block, "layer_scale2.lambda1": (width,)}.items()}
    shapes |= norm("layernorm", width)
    return {prefix + name: shape for name, shape in shapes.items()}


def salad(clusters=64, cluster_dim=128, token_dim=256, width=64, **sizes):
    """dino_salad.ckpt."""
    return {
        **hub(width, prefix="backbone.model.", **sizes),
        "aggregator.dust_bin": (),
        **linear("aggregator.token_features.0", width, 512),
        **linear("aggregator.token_features.2", 512, token_dim),
        **linear("aggregator.cluster_features.0", width, 512, 1, 1),
        **linear("aggregator.cluster_features.3", 512, cluster_dim, 1, 1),
        **linear("aggregator.score.0", width, 512, 1, 1),
        **linear("aggregator.score.3", 512, clusters, 1, 1),
    }


def mixer(prefix, dim, tokens, channels=24, rows=4, depth=2, hidden=None):
    hidden = hidden or tokens
    shapes = {}
    for i in range(depth):
        name = f"{prefix}aggregator.mix.{i}.mix"
        shapes |= {**norm(f"{name}.0", tokens), **linear(f"{name}.1", tokens, hidden), **linear(f"{name}.3", hidden, tokens)}
    return shapes | linear(f"{prefix}aggregator.channel_proj", dim, channels) | linear(f"{prefix}aggregator.row_proj", tokens, rows)


def cvcities(width=64, side=6, prefix="model.", **head):
    """CV-Cities: the hub's DINOv2 without its final norm, MixVPR, the loss's scale. DINO-Mix: without `model.` and scale."""
    scale = {"logit_scale": ()} if prefix else {}
    return scale | hub(width, prefix=f"{prefix}backbone.dino_model.", final_norm=False) | mixer(prefix, width, side * side, **head)


def batch_norm(name, width):
    return norm(name, width) | {f"{name}.running_mean": (width,), f"{name}.running_var": (width,), f"{name}.num_batches_tracked": ()}


def resnet(depths, bottleneck):
    """torchvision's names of a ResNet without its classifier, and the features of its last stage."""
    expansion = 4 if bottleneck else 1
    shapes = {"conv1.weight": (64, 3, 7, 7), **batch_norm("bn1", 64)}
    dim = 64
    for stage, depth in enumerate(depths):
        width = 64 << stage
        for i in range(depth):
            block = f"layer{stage + 1}.{i}"
            convs = [(dim, width, 1), (width, width, 3), (width, 4 * width, 1)] if bottleneck else [(dim, width, 3), (width, width, 3)]
            for k, (wide, narrow, kernel) in enumerate(convs, 1):
                shapes |= {f"{block}.conv{k}.weight": (narrow, wide, kernel, kernel), **batch_norm(f"{block}.bn{k}", narrow)}
            if i == 0 and (stage or bottleneck):
                out = width * expansion
                shapes |= {f"{block}.downsample.0.weight": (out, dim, 1, 1), **batch_norm(f"{block}.downsample.1", out)}
            dim = width * expansion
    return shapes, dim


def resnet_mixvpr(depths=(2, 2, 2), bottleneck=False, side=4, **head):
    """MixVPR's release: torchvision's ResNet without its last stage."""
    shapes, dim = resnet(depths, bottleneck)
    return {f"backbone.model.{name}": shape for name, shape in shapes.items()} | mixer("", dim, side * side, **head)


def cosplace(depths=(2, 2, 2, 2), bottleneck=False, entries=32):
    """CosPlace, EigenPlaces: the children of a ResNet by position, GeM's exponent, the last linear layer."""
    shapes, dim = resnet(depths, bottleneck)
    places = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    out = {f"backbone.{places[child]}.{rest}": shape for name, shape in shapes.items() for child, _, rest in [name.partition(".")]}
    return out | {"aggregation.1.p": (1,), **linear("aggregation.3", dim, entries)}


def sample4geo(depths=(1, 2, 2, 1), dims=(16, 32, 64, 128)):
    """Sample4Geo: timm's ConvNeXt without classifier, the loss's scale."""
    shapes = {**linear("stem.0", 3, dims[0], 4, 4), **norm("stem.1", dims[0])}
    for stage, (depth, dim) in enumerate(zip(depths, dims, strict=True)):
        if stage:
            before = dims[stage - 1]
            shapes |= {**norm(f"stages.{stage}.downsample.0", before), **linear(f"stages.{stage}.downsample.1", before, dim, 2, 2)}
        for i in range(depth):
            block = f"stages.{stage}.blocks.{i}"
            shapes |= {f"{block}.gamma": (dim,), **linear(f"{block}.conv_dw", 1, dim, 7, 7), **norm(f"{block}.norm", dim)}
            shapes |= {**linear(f"{block}.mlp.fc1", dim, 4 * dim), **linear(f"{block}.mlp.fc2", 4 * dim, dim)}
    shapes |= norm("head.norm", dims[-1])
    return {"logit_scale": ()} | {f"model.{name}": shape for name, shape in shapes.items()}
