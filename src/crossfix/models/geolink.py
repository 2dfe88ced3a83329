"""GeoLink: a 2D network that learns beside a 3D branch and is deployed without it.

Axes: B pairs, P clouds, N points, H W C pixels and channels, D entries of a descriptor, T entries of a neighbour table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from crossfix.disk import plain
from crossfix.errors import ModelError
from crossfix.models.gengeo import ArchConfig, GenGeo, ViewKind, build
from crossfix.models.point_branch import PointBranch, PointConfig


@dataclass(frozen=True)
class GeoLinkConfig:
    """The networks of a GeoLink training; what they are asked for stands in `losses.geolink.TermsConfig`.

    Decisions where the paper is silent, besides those of `PointConfig`: one encoder for both views, as published. Places without a cloud
    train in 2D, so that a missing reconstruction costs no picture. Clouds stay north-up unless a batch says by how much to turn them.

    Attributes:
        arch: the 2D network, with any head; this alone is deployed.
        points: the 3D branch.
        teacher: "joint": the 3D branch learns with the pictures, as published. "frozen": it was trained before (`point_teacher.pretrain`)
            or has no parameters, and stays as it is, in evaluation mode, without gradient; its descriptors may be computed once.
    """

    arch: ArchConfig
    points: PointConfig = field(default_factory=PointConfig)
    teacher: Literal["joint", "frozen"] = "joint"

    def __post_init__(self) -> None:
        if self.teacher not in ("joint", "frozen"):
            raise ModelError(f"the teacher is {self.teacher!r}", where="GeoLink", mend="choose joint or frozen")

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON values."""
        return plain(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GeoLinkConfig:
        """Read what `to_dict` wrote.

        Raises:
            ModelError: for unknown or missing entries.
        """
        if unknown := sorted(set(values) - {f.name for f in fields(cls)}):
            raise ModelError(f"unknown entries: {', '.join(unknown)}", where="GeoLink", mend="update crossfix")
        if "arch" not in values:
            raise ModelError("the 2D network is missing", where="GeoLink", mend="give the entry arch")
        rest = {name: value for name, value in values.items() if name not in ("arch", "points")}
        return cls(ArchConfig.from_dict(values["arch"]), PointConfig.from_dict(values.get("points", {})), **rest)


class GeoLinkBatch(NamedTuple):
    """A batch as `GeoLink` takes it. Clouds come as points or, from a frozen teacher, as descriptors.

    Attributes:
        drone_BCHW: normalised RGB.
        satellite_BCHW: of the same places, same size.
        place_B: integer ids of places; None: all differ.
        pts_PNC: clouds, see `PointBranch`; None: none.
        table_PT: their neighbour tables; None: they are made anew, which costs more than the branch itself.
        point_PD: descriptors of clouds in place of points.
        row_P: which pair each cloud belongs to; None: pair i has cloud i.
        turn_P: radians by which clouds are turned, counter-clockwise from above; None: north-up.
        drone_heights: (height_BN, seen_BN) of the drone's tokens, see `losses.heights`.
        satellite_heights: the same of the satellite's.
        ground_GCHW: panoramas of some pairs besides; None: none.
        ground_row_G: which pair each of them belongs to.
        sightings: (drone_PT2, satellite_PT2, seen_PT), points of clouds that both pictures show, see `Correspondence`; None: not known.
        ground_sightings: (ground_GT2, satellite_GT2, seen_GT), the same of the panoramas and the satellite pictures of their pairs.
    """

    drone_BCHW: torch.Tensor
    satellite_BCHW: torch.Tensor
    place_B: torch.Tensor | None = None
    pts_PNC: torch.Tensor | None = None
    table_PT: torch.Tensor | None = None
    point_PD: torch.Tensor | None = None
    row_P: torch.Tensor | None = None
    turn_P: torch.Tensor | None = None
    drone_heights: tuple[torch.Tensor, torch.Tensor] | None = None
    satellite_heights: tuple[torch.Tensor, torch.Tensor] | None = None
    ground_GCHW: torch.Tensor | None = None
    ground_row_G: torch.Tensor | None = None
    sightings: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
    ground_sightings: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None


class GeoLink(nn.Module):
    """The training module: 2D network, 3D branch and terms as one, so that one forward pass gives the losses.

    Args:
        model: the 2D network.
        points: the 3D branch.
        terms: takes descriptors and tokens and returns losses; `losses.geolink.GeoLinkTerms`.
        teacher: see `GeoLinkConfig`.
    """

    def __init__(self, model: GenGeo, points: PointBranch, terms: nn.Module, teacher: Literal["joint", "frozen"] = "joint") -> None:
        super().__init__()
        self.model = model
        self.points = points
        self.terms = terms
        self.teacher = teacher
        if teacher == "frozen":
            points.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> GeoLink:
        """Switch to training mode, all but a frozen teacher, whose batch norms must not move."""
        super().train(mode)
        if self.teacher == "frozen":
            self.points.eval()
        return self

    def deployed(self) -> GenGeo:
        """The 2D network itself, all that is saved and used: nothing of the 3D branch is in it."""
        return self.model

    def forward(self, batch: GeoLinkBatch) -> Any:  # noqa: ANN401
        """What the terms make of a batch.

        Raises:
            ModelError: if clouds do not fit the 3D branch, or pictures the encoder.
            RunError: if a loss is not finite.
        """
        views: dict[ViewKind, torch.Tensor] = {"satellite": batch.satellite_BCHW, "query": batch.drone_BCHW}
        seen = self.model.see(views if batch.ground_GCHW is None else views | {"ground": batch.ground_GCHW})
        return self.terms(
            seen["query"].desc_BD,
            seen["satellite"].desc_BD,
            self.describe_clouds(batch),
            batch.row_P,
            batch.place_B,
            seen["query"].tok_BNC,
            seen["satellite"].tok_BNC,
            batch.drone_heights,
            batch.satellite_heights,
            seen["ground"].desc_BD if "ground" in seen else None,
            batch.ground_row_G,
            batch.sightings,
            seen["ground"].tok_BNC if "ground" in seen else None,
            batch.ground_sightings,
        )

    def describe_clouds(self, batch: GeoLinkBatch) -> torch.Tensor | None:
        """Descriptors (P, D) of a batch's clouds, None if it has none or a single one, which has no partner to differ from."""
        clouds = batch.point_PD if batch.pts_PNC is None else batch.pts_PNC
        if clouds is None or len(clouds) < 2:
            return None
        if batch.pts_PNC is None:
            return clouds
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.teacher == "joint"):
            point_PD: torch.Tensor = self.points(batch.pts_PNC, batch.table_PT, batch.turn_P)
        return point_PD


def build_geolink(config: GeoLinkConfig, terms: Callable[[int, int, int], nn.Module], *, pretrained: bool = False) -> GeoLink:
    """Build the training module; its weights are drawn from torch's random state, the 2D network's first.

    Args:
        config: the networks.
        terms: makes the objective from the lengths of pictures' and clouds' descriptors and the tokens' channels; `TermsConfig(...).build`.
        pretrained: start the 2D encoder from published weights.

    Raises:
        ModelError: if a network cannot be built.
    """
    model = build(config.arch, pretrained=pretrained)
    points = PointBranch(config.points, model.dim)
    return GeoLink(model, points, terms(model.dim, points.out_dim, model.encoder.dim), config.teacher)
