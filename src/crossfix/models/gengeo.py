"""GenGeo: one encoder and one aggregator for every view, and the typed description from which a model is built.

Axes: B batch, C channels, H and W pixels, D entries of a descriptor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from crossfix.disk import LATER, plain
from crossfix.errors import ModelError
from crossfix.models.encoder import Positions, TokenEncoder
from crossfix.models.heads import (
    ClsConfig,
    GemConfig,
    Head,
    HeadConfig,
    MeanConfig,
    MixVprConfig,
    NetVladConfig,
    SaladConfig,
    VladConfig,
    build_head,
    read,
    read_head,
)

__all__ = [
    "ArchConfig",
    "GenGeo",
    "build",
    "HeadConfig",
    "SaladConfig",
    "MixVprConfig",
    "NetVladConfig",
    "VladConfig",
    "GemConfig",
    "MeanConfig",
    "ClsConfig",
    "ViewKind",
]

ViewKind = Literal["satellite", "query", "ground"]
"""What a network is told of a picture; "query" is from anywhere but space, and "ground" one of them."""


# Arguments that we set ourselves, and those by which a foreign card could make timm read other files.
_OURS = frozenset(
    {
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "pretrained_strict",
        "checkpoint_path",
        "cache_dir",
        "num_classes",
        "in_chans",
        "dynamic_img_size",
        "features_only",
        "feature_cls",
        "out_indices",
        "scriptable",
        "exportable",
        "no_jit",
    }
)


_WHERE, _GROUND = "encoder.where", "ground_"


@dataclass(frozen=True)
class ArchConfig:
    """Everything that says which network a model is; a model card's "architecture".

    Attributes:
        encoder: timm name.
        px: side of the square input in pixels.
        head: the aggregator and its sizes.
        stride: pixels a token at which a convolutional encoder is cut; None for transformers.
        timm_kwargs: further arguments of `timm.create_model`; JSON values only.
        positions: how position embeddings are resampled, see `TokenEncoder`.
        separate_heads: queries (ground and drone) and satellite pictures have a head each, of the same sizes, behind one encoder: the
            ablation of GenGeo's shared clusters. Such a model describes nothing rightly without being told a picture's kind.
        trainable_blocks: how many of a transformer's last blocks train, see `TokenEncoder.train_last_blocks`; None: all of the encoder.
        squares: panoramas are encoded as squares side by side, see `TokenEncoder`.
        coordinates: tokens are told where they stand, see `TokenEncoder`.
        ground_encoder: pictures from the ground have an encoder of their own, of the same make, before the clusters that all views share:
            a model that knows drone pictures learns them without forgetting anything.
    """

    encoder: str
    px: int
    head: HeadConfig
    stride: int | None = None
    timm_kwargs: Mapping[str, Any] = field(default_factory=dict)
    positions: Positions = "original"
    separate_heads: bool = field(default=False, metadata=LATER)
    trainable_blocks: int | None = field(default=None, metadata=LATER)
    squares: bool = field(default=False, metadata=LATER)
    coordinates: bool = field(default=False, metadata=LATER)
    ground_encoder: bool = field(default=False, metadata=LATER)

    def __post_init__(self) -> None:
        if refused := sorted(set(self.timm_kwargs) & _OURS):
            raise ModelError(f"timm_kwargs may not set {', '.join(refused)}", where=self.encoder, mend="remove them")

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON values."""
        return plain(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ArchConfig:
        """Read what `to_dict` wrote.

        Raises:
            ModelError: for unknown or missing entries.
        """
        if not isinstance(values, Mapping):
            raise ModelError("the architecture is not an object of named entries", mend="export the model again")
        return read(cls, {**values, "head": read_head(values.get("head"))})


class Seen(NamedTuple):
    """Pictures as a network sees them.

    Attributes:
        tok_BNC: tokens.
        desc_BD: descriptors, float32 of unit norm.
    """

    tok_BNC: torch.Tensor
    desc_BD: torch.Tensor


class GenGeo(nn.Module):
    """An encoder and a head, both shared by ground, drone and satellite pictures.

    Or, as an ablation, one head a kind of view; or an encoder of its own for pictures from the ground.

    Args:
        encoder: gives tokens.
        head: aggregates them; has `out_dim`. Where there are two heads, it is that of the queries.
        config: what the model was built from.
        satellite_head: of satellite pictures; None: `head` serves them too.
        ground_encoder: of pictures from the ground; None: `encoder` serves them too.
    """

    def __init__(
        self,
        encoder: TokenEncoder,
        head: Head,
        config: ArchConfig,
        satellite_head: Head | None = None,
        ground_encoder: TokenEncoder | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.satellite_head = satellite_head
        self.ground_encoder = ground_encoder
        self.config = config

    @property
    def dim(self) -> int:
        """Entries of a descriptor."""
        return self.head.out_dim

    def head_of(self, kind: ViewKind) -> Head:
        """The head of a kind of view; the same for both where the clusters are shared."""
        return self.satellite_head if kind == "satellite" and self.satellite_head is not None else self.head

    def encoder_of(self, kind: ViewKind) -> TokenEncoder:
        """The encoder of a kind of view; the same for all but where those from the ground have their own."""
        return self.ground_encoder if kind == "ground" and self.ground_encoder is not None else self.encoder

    def from_ground(self) -> GenGeo:
        """The network that describes pictures from the ground, sharing its weights with this one."""
        if self.ground_encoder is None:
            return self
        return GenGeo(self.ground_encoder, self.head, replace(self.config, ground_encoder=False, separate_heads=False))

    def forward(self, img_BCHW: torch.Tensor, kind: ViewKind = "satellite") -> torch.Tensor:
        """Describe normalised RGB pictures of one kind of view.

        Args:
            img_BCHW: any size that the patches divide, not necessarily square.
            kind: without effect where all views share encoder and head.

        Returns:
            (B, D) float32 of unit norm.

        Raises:
            ModelError: if the size does not fit the encoder's patches or gives too few tokens for the head.
        """
        tok_BND, cls_BD = self.encoder_of(kind)(img_BCHW)
        desc_BD: torch.Tensor = self.head_of(kind)(tok_BND, cls_BD)
        return desc_BD

    def see(self, views: Mapping[ViewKind, torch.Tensor]) -> dict[ViewKind, Seen]:
        """Tokens and descriptors of several kinds of views, as training compares them.

        Kinds that share an encoder pass as one batch where they have one size, so that they share normalisation statistics as they share
        the weights.

        Args:
            views: pictures of each kind as `forward` takes them, any number of each.

        Raises:
            ModelError: as `forward`.
        """
        shared = [kind for kind in views if self.encoder_of(kind) is self.encoder]
        seen = dict(zip(shared, self.encoder.together([views[kind] for kind in shared]), strict=True)) if shared else {}
        seen |= {kind: self.encoder_of(kind)(img_BCHW) for kind, img_BCHW in views.items() if kind not in seen}
        return {kind: Seen(tok_BNC, self.head_of(kind)(tok_BNC, cls_BC)) for kind, (tok_BNC, cls_BC) in seen.items()}


def fitted(own: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights of one network for another, which may have more than the first.

    Where it tells tokens where they stand and the first did not, that begins at zero; an encoder for pictures from the ground begins as the
    first's only one.

    Args:
        own: names and shapes of the other network's weights.
        given: the weights.

    Raises:
        ModelError: where they differ in name or shape; says so in a few words.
    """
    found = dict(given)
    if _WHERE in own and _WHERE not in given:
        found[_WHERE] = torch.zeros(own[_WHERE].shape)
    for name in own:
        if name.startswith(_GROUND) and name not in found and (same := name.removeprefix(_GROUND)) in found:
            found[name] = found[same].clone()
    mine, theirs = ({name: tensor.shape for name, tensor in tensors.items()} for tensors in (own, found))
    if apart := sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)):
        raise ModelError(f"{apart[0]} and {len(apart) - 1} more differ")
    return found


def build(config: ArchConfig, *, pretrained: bool | Path = False) -> GenGeo:
    """Build a model; its weights are drawn from torch's random state.

    Args:
        config: the architecture.
        pretrained: start the encoder from timm's published weights (Hugging Face hub or its cache), or from a file of such.

    Raises:
        ModelError: if the architecture cannot be built, or its input gives too few tokens for its head.
    """

    def encode() -> TokenEncoder:
        return TokenEncoder(
            config.encoder,
            img_px=config.px,
            stride=config.stride,
            pretrained=pretrained,
            positions=config.positions,
            trainable_blocks=config.trainable_blocks,
            squares=config.squares,
            coordinates=config.coordinates,
            **config.timm_kwargs,
        )

    try:
        encoder = encode()
        rows, columns = encoder.grid(config.px, config.px)
        head = build_head(config.head, encoder.dim, rows * columns, encoder.has_cls)
        satellite_head = build_head(config.head, encoder.dim, rows * columns, encoder.has_cls) if config.separate_heads else None
        ground_encoder = encode() if config.ground_encoder else None
    except ModelError as error:
        raise ModelError(error.what, where=error.where or config.encoder, mend=error.mend) from error
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise ModelError(f"cannot be built ({error})", where=config.encoder, mend="correct its sizes and timm_kwargs") from error
    return GenGeo(encoder, head, config, satellite_head, ground_encoder)
