"""DINOv2 in its three published forms: torch hub, timm and transformers, with and without registers.

Source: Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", 2023; Darcet et al., "Vision Transformers Need
Registers", 2023. The forms differ in names, in whether queries, keys and values are one matrix, in the names of SwiGLU's two matrices
(the gate's half comes first in all of them), and in where positions and class token are added up: timm's models with registers carry the
class token's position in the class token.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

import torch

from crossfix.errors import ModelError
from crossfix.models.gengeo import ArchConfig
from crossfix.models.heads import ClsConfig, GemConfig, HeadConfig, MeanConfig, SaladConfig
from crossfix.models.importers.naming import Source, Sources, count, named, shape
from crossfix.models.importers.plan import Plan, Tensors

Form = Literal["torch hub", "timm", "transformers"]
PX = 322  # SALAD's size for describing, which our own models of these encoders have too
_HEAD_DIM = 64  # of every published size; the tensors do not tell the number of heads
_OURS = "encoder.net."
_HEADS: dict[str, HeadConfig] = {"cls": ClsConfig(), "mean": MeanConfig(), "gem": GemConfig(), "salad": SaladConfig(dustbin="fixed")}
_UNTRAINED = ("salad",)
_SIZES = {  # timm's names: width, depth, and the hidden width of the perceptrons (both halves of SwiGLU)
    "small": (384, 12, 1536),
    "base": (768, 12, 3072),
    "large": (1024, 24, 4096),
    "giant": (1536, 40, 8192),
}
_GRID = 37  # 518 px of 14
_PATCH = 14
_REGISTERS = 4
_HF_PREFIXES = ("", "dinov2.", "dinov2_with_registers.")
_HF_PATCH = "embeddings.patch_embeddings.projection."
_HF = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "register_tokens": "embeddings.register_tokens",
    "mask_token": "embeddings.mask_token",
    "patch_embed.proj.": _HF_PATCH,
    "norm.": "layernorm.",
}
_HF_BLOCK = {
    "attn.proj.": "attention.output.dense.",
    "ls1.gamma": "layer_scale1.lambda1",
    "ls2.gamma": "layer_scale2.lambda1",
    "mlp.w12.": "mlp.weights_in.",
    "mlp.w3.": "mlp.weights_out.",
}


@dataclass(frozen=True)
class Encoder:
    """A DINOv2 found in a checkpoint.

    Attributes:
        form: which names it goes by.
        prefix: before them.
        timm_name: of the encoder it becomes.
        timm_kwargs: sizes in which it differs from timm's.
        patch: side of a patch in pixels.
        sources: from our names (`encoder.net. ...`) to the file's.
        unneeded: names that may be left over.
    """

    form: Form
    prefix: str
    timm_name: str
    timm_kwargs: dict[str, Any]
    patch: int
    sources: Sources
    unneeded: tuple[str, ...]

    def px(self, wanted: int | None) -> int:
        """Side of the square input: what is wanted, or the multiple of the patch that is nearest to 322."""
        return wanted or max(1, round(PX / self.patch)) * self.patch


def recognises(names: Collection[str]) -> bool:
    """Whether names are those of a DINOv2."""
    return _form(names) is not None or _hf_prefix(names) is not None


def plan(tensors: Tensors, px: int | None, head: str | None) -> Plan:
    """A DINOv2 becomes an encoder with a head that needs no training (`cls`, `mean`, `gem`) or with an untrained one (`salad`).

    Raises:
        ModelError: if sizes cannot be told from the tensors, or for a head there is not.
    """
    head = head or "cls"
    if head not in _HEADS:
        raise ModelError(f"DINOv2 gets no head {head!r}", where="--head", mend=f"choose from {', '.join(_HEADS)}")
    encoder = find_encoder(tensors, _hf_prefix(tensors) or "")
    architecture = ArchConfig(encoder.timm_name, encoder.px(px), _HEADS[head], timm_kwargs=encoder.timm_kwargs)
    return Plan(encoder.form, architecture, encoder.sources, encoder.unneeded, head not in _UNTRAINED)


def find_encoder(tensors: Tensors, prefix: str, *, may_lack_norm: bool = False) -> Encoder:
    """The DINOv2 behind a prefix, its sizes told from the tensors.

    Args:
        tensors: all of the file.
        prefix: what the encoder's names begin with.
        may_lack_norm: where the file has no final norm, the encoder has none either.

    Raises:
        ModelError: if there is none or its sizes are not those of a vision transformer.
    """
    names = {name.removeprefix(prefix) for name in tensors if name.startswith(prefix)}
    form = _form(names)
    if form is None:
        raise ModelError(f"there is no DINOv2 behind {prefix or 'the names'}")

    def theirs(name: str) -> str:
        return prefix + _foreign(name, form, blocks)

    blocks = _blocks(names, form)
    width, _, patch, _ = shape(tensors, theirs("patch_embed.proj.weight"), 4)
    registers_name = theirs("reg_token" if form == "timm" else "register_tokens")
    registers = shape(tensors, registers_name, 3)[1] if registers_name in tensors else 0
    positions = shape(tensors, theirs("pos_embed"), 3)[1]
    own_positions = 0 if form == "timm" and registers else 1
    grid = math.isqrt(max(0, positions - own_positions))
    if grid * grid != positions - own_positions or not grid:
        raise ModelError(
            f"{theirs('pos_embed')} has {positions} positions, which are not a square grid"
            + (" and a class token's" if own_positions else "")
        )
    if width % _HEAD_DIM:
        raise ModelError(f"its width of {width} is no multiple of {_HEAD_DIM}, the width of every DINOv2's attention heads")
    gated = theirs("blocks.0.mlp.w12.weight") in tensors
    first, second = ("w12", "w3") if gated else ("fc1", "fc2")
    hidden = shape(tensors, theirs(f"blocks.0.mlp.{first}.weight"), 2)[0]
    gated = gated or hidden == 2 * shape(tensors, theirs(f"blocks.0.mlp.{second}.weight"), 2)[1]
    name, kwargs = _architecture(width, len(blocks), hidden, gated=gated, registers=registers, grid=grid, patch=patch)
    if may_lack_norm and theirs("norm.weight") not in tensors:
        kwargs["final_norm"] = False

    def sources(ours: str) -> Source | None:
        if not ours.startswith(_OURS):
            return None
        return _source(ours.removeprefix(_OURS), theirs, form, gated=gated and first == "w12", registers=bool(registers))

    return Encoder(form, prefix, name, kwargs, patch, sources, (theirs("mask_token"),))


def _hf_prefix(names: Collection[str]) -> str | None:
    return next((prefix for prefix in _HF_PREFIXES if prefix + _HF_PATCH + "weight" in names), None)


def _form(names: Collection[str]) -> Form | None:
    if _HF_PATCH + "weight" in names:
        return "transformers"
    if not {"cls_token", "pos_embed", "patch_embed.proj.weight"} <= {*names} or not any(name.endswith("ls1.gamma") for name in names):
        return None
    if "mask_token" in names or "register_tokens" in names or "blocks.0.mlp.w12.weight" in names:
        return "torch hub"
    return "timm"


def _blocks(names: Collection[str], form: Form) -> list[str]:
    """What stands before each block's tensors. Checkpoints of DINOv2's own trainer count blocks in chunks: `blocks.1.7.` is the eighth."""
    if form == "transformers":
        return [f"encoder.layer.{i}." for i in range(count(names, "encoder.layer."))]
    chunked = {int(found[2]): found[0] for name in names if (found := re.match(r"blocks\.(\d+)\.(\d+)\.", name))}
    if chunked:
        return [chunked.get(i, f"blocks.{i}.") for i in range(len(chunked))]
    return [f"blocks.{i}." for i in range(count(names, "blocks."))]


def _foreign(name: str, form: Form, blocks: list[str]) -> str:
    """The file's name for one of the hub's."""
    block = re.match(r"blocks\.(\d+)\.", name)
    if block:
        rest = name[block.end() :]
        if form == "transformers":
            rest = _renamed(rest, _HF_BLOCK)
        index = int(block[1])
        return (blocks[index] if index < len(blocks) else block[0]) + rest
    return _renamed(name, _HF) if form == "transformers" else name


def _renamed(name: str, table: dict[str, str]) -> str:
    for start, other in table.items():
        if name.startswith(start):
            return other + name.removeprefix(start)
    return name


def _source(name: str, theirs: Callable[[str], str], form: Form, *, gated: bool, registers: bool) -> Source:
    if gated:
        name = name.replace("mlp.fc1.", "mlp.w12.").replace("mlp.fc2.", "mlp.w3.")
    if form == "transformers" and ".attn.qkv." in name:
        block, kind = name.split("attn.qkv.")
        parts = tuple(theirs(block) + f"attention.attention.{part}.{kind}" for part in ("query", "key", "value"))
        return Source(parts, lambda *qkv: torch.cat(qkv))
    if registers and form != "timm":
        if name == "cls_token":
            return Source((theirs("cls_token"), theirs("pos_embed")), lambda token, positions: token + positions[:, :1])
        if name == "pos_embed":
            return Source((theirs("pos_embed"),), lambda positions: positions[:, 1:])
        if name == "reg_token":
            name = "register_tokens"
    return named(theirs(name))


def _architecture(width: int, depth: int, hidden: int, *, gated: bool, registers: int, grid: int, patch: int) -> tuple[str, dict[str, Any]]:
    size = "giant" if gated else next((size for size, (w, _, _) in _SIZES.items() if w == width and size != "giant"), "small")
    timms = _SIZES[size]
    kwargs: dict[str, Any] = {}
    if width != timms[0]:
        kwargs |= {"embed_dim": width, "num_heads": width // _HEAD_DIM}
    if depth != timms[1]:
        kwargs["depth"] = depth
    if hidden * timms[0] != timms[2] * width:
        kwargs["mlp_ratio"] = (hidden + 0.5) / width  # timm rounds width times ratio down
    if patch != _PATCH:
        kwargs["patch_size"] = patch
    if grid * patch != _GRID * _PATCH:
        kwargs["img_size"] = grid * patch
    if registers not in (0, _REGISTERS):
        kwargs["reg_tokens"] = registers
    return f"vit_{size}_patch14{'_reg4' if registers else ''}_dinov2", kwargs
