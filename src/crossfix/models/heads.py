"""The aggregators as typed configs: what a model card says of a head, and how the head is built from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar

from crossfix.disk import LATER
from crossfix.errors import ModelError
from crossfix.models.mixvpr import MixVpr
from crossfix.models.netvlad import NetVlad
from crossfix.models.pooling import ClassToken, GeM, Mean
from crossfix.models.salad import NEEDS_MORE_TOKENS_THAN_CLUSTERS, ClusterWeight, Dustbin, Salad
from crossfix.models.vlad import Vlad

_T = TypeVar("_T")


def read(cls: type[_T], values: Mapping[str, Any]) -> _T:
    """A config dataclass from JSON values.

    Raises:
        ModelError: for unknown or missing entries.
    """
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - known):
        raise ModelError(f"unknown entries in the architecture: {', '.join(unknown)}", mend="update crossfix")
    try:
        return cls(**values)
    except TypeError as error:
        raise ModelError(f"incomplete architecture ({error})") from error


@dataclass(frozen=True)
class SaladConfig:
    """Sizes and form of a SALAD head, see `Salad`; the published ones are the defaults. `token_dim` 0: no global part."""

    clusters: int = 64
    cluster_dim: int = 128
    token_dim: int = 256
    hidden: int = 512
    dropout: float = 0.3
    iterations: int = 3
    kind: Literal["salad"] = "salad"
    dustbin: Dustbin = field(default="fixed", metadata=LATER)
    relaxation: float = field(default=1.0, metadata=LATER)
    cluster_weight: ClusterWeight = field(default="equal", metadata=LATER)

    @property
    def out_dim(self) -> int:
        """Entries of the descriptor."""
        return self.token_dim + self.clusters * self.cluster_dim


@dataclass(frozen=True)
class MixVprConfig:
    """Sizes of a MixVPR head, see `MixVpr`; those of CV-Cities and GeoLink are the defaults."""

    channels: int = 1024
    rows: int = 4
    depth: int = 2
    ratio: float = 1.0
    kind: Literal["mixvpr"] = "mixvpr"


@dataclass(frozen=True)
class NetVladConfig:
    """Sizes of a NetVLAD head, see `NetVlad`."""

    clusters: int = 64
    cluster_dim: int | None = None
    sharpness: float = 30.0
    kind: Literal["netvlad"] = "netvlad"


@dataclass(frozen=True)
class VladConfig:
    """Sizes of a VLAD head, see `Vlad`: its centres and whitening are fitted on a map, not trained. `dim` None: no whitening."""

    clusters: int = 32
    dim: int | None = 512
    sharpness: float | None = 20.0
    kind: Literal["vlad"] = "vlad"


@dataclass(frozen=True)
class GemConfig:
    """A GeM head: length of the descriptor after a linear projection (None: no projection), the exponent at the start, unit tokens."""

    dim: int | None = None
    p: float = 3.0
    kind: Literal["gem"] = "gem"
    unit: bool = field(default=False, metadata=LATER)


@dataclass(frozen=True)
class MeanConfig:
    """A mean-pooling head; `norm`: a layer norm follows the mean, as in timm's ConvNeXt (Sample4Geo's descriptor)."""

    kind: Literal["mean"] = "mean"
    norm: bool = field(default=False, metadata=LATER)


@dataclass(frozen=True)
class ClsConfig:
    """The class token as descriptor; it has no sizes."""

    kind: Literal["cls"] = "cls"


HeadConfig = SaladConfig | MixVprConfig | NetVladConfig | VladConfig | GemConfig | MeanConfig | ClsConfig
Head = Salad | MixVpr | NetVlad | Vlad | GeM | Mean | ClassToken
HEADS: dict[str, type[HeadConfig]] = {
    "salad": SaladConfig,
    "mixvpr": MixVprConfig,
    "netvlad": NetVladConfig,
    "vlad": VladConfig,
    "gem": GemConfig,
    "mean": MeanConfig,
    "cls": ClsConfig,
}


def read_head(values: object) -> HeadConfig:
    """A head's config from JSON values.

    Raises:
        ModelError: for a head this version does not know, or unknown or missing entries.
    """
    kind = values.get("kind") if isinstance(values, Mapping) else None
    if not isinstance(values, Mapping) or kind not in HEADS:
        raise ModelError(f"unknown head {kind!r} in the architecture", mend=f"this version knows {', '.join(HEADS)}")
    return read(HEADS[kind], values)


def build_head(config: HeadConfig, dim: int, tokens: int, has_cls: bool) -> Head:
    """Build a head; its weights are drawn from torch's random state.

    Args:
        config: which, and its sizes.
        dim: features of a token.
        tokens: number of tokens of the model's own input size.
        has_cls: whether the encoder gives a class token.

    Raises:
        ModelError: if the head cannot work on such tokens.
    """
    sizes = asdict(config)
    del sizes["kind"]
    if isinstance(config, SaladConfig):
        if config.dustbin in NEEDS_MORE_TOKENS_THAN_CLUSTERS and tokens <= config.clusters:
            raise ModelError(
                f"the input gives {tokens} tokens, SALAD with {config.clusters} clusters needs more",
                mend="raise px, lower stride or lower clusters",
            )
        return Salad(dim, **sizes)
    if isinstance(config, MixVprConfig):
        return MixVpr(dim, tokens, **sizes)
    if isinstance(config, NetVladConfig):
        return NetVlad(dim, **sizes)
    if isinstance(config, VladConfig):
        return Vlad(dim, config.clusters, config.dim, config.sharpness)
    if isinstance(config, GemConfig):
        return GeM(dim, config.dim, p=config.p, unit=config.unit)
    if isinstance(config, MeanConfig):
        return Mean(dim, norm=config.norm)
    if not has_cls:
        raise ModelError("the encoder has no class token to describe with", mend="use the head mean, or a transformer with a class token")
    return ClassToken(dim)
