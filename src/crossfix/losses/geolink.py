"""GeoLink's objective: its terms, their weights, and what each of them came to.

Axes: B pairs, P pairs that have a cloud, D entries of a picture's descriptor, Q entries of a cloud's, N tokens, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from crossfix.errors import InputError
from crossfix.losses.club import Club
from crossfix.losses.contrastive import InfoNCE, NotFiniteError
from crossfix.losses.correspondence import Correspondence
from crossfix.losses.heights import TokenHeights
from crossfix.losses.relation import Metric, Scale, relation_loss, spread
from crossfix.losses.released import ReleasedInfoNCE

_WEIGHTS = ("cross", "points", "intra", "mi", "relation", "predict", "heights", "ground", "tokens", "ground_tokens")
Sightings = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
Heights = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class TermsConfig:
    """Weights and choices of GeoLink's terms; a weight of 0 leaves a term out, and what it would cost.

    Where the paper is silent or its code contradicts itself, with the reason:

    * Weights: cross, points, relation 1 and intra 4 are those of the most complete published trainer. `mi` is 0.1: our bound is a mean over
      entries at unit variance and theirs a sum at another scale, so their 1 means nothing here; and at more it works against `points`,
      which asks for the very information that `mi` takes out.
    * The bound's network is fitted in every step, one step of its own for each of the model's, on the same descriptors without their
      gradient. One q serves both views as published, and is asked for the cloud given the picture.
    * The cloud's descriptor is the standard: `mi` and `relation` send it no gradient (the published code does), since otherwise both are
      met most cheaply by a 3D branch that forgets what pictures do not show. It learns from `points` and `intra` alone.
    * Relations: Euclidean, squared difference, mean-scaled as published, the diagonal left out (both sides are zero there by definition).
      "standard" keeps the pattern alone; see `relation.spread` for why it may matter.
    * Contrast is symmetric. Each kind has a temperature of its own: rows found among their own view are found at any temperature and
      would pull a shared one down.
    * Same batch for all terms. Relations come in the square of its size; batches of 4 to 8 as published have 12 to 56 of them, take 64.

    Attributes:
        cross: drone with satellite.
        points: cloud with drone, plus cloud with satellite.
        intra: each view's rows against the others of that view, summed over drone, satellite and (if it learns) cloud.
        mi: the bound on the information between each view and the cloud (GSR), which is made smaller.
        relation: relation distillation (UVRD).
        predict: beyond the paper: how badly q tells the cloud's descriptor from a picture's, which is made smaller. The opposite of `mi`.
        heights: beyond the paper: tokens tell heights, see `TokenHeights`; needs targets.
        ground: beyond the paper: panoramas with satellite, where batches have some beside drone pictures; a training gives it the weight
            of its ground views.
        tokens: beyond the paper: tokens of both pictures that show one of a cloud's points find each other, see `Correspondence`; needs the
            cameras of the drone pictures, which a reconstruction finds with the points.
        ground_tokens: beyond the paper: the same of panoramas, redrawn as seen from above, and satellite pictures; needs to know where the
            panoramas were taken.
        temperature: of all contrasts, at the start.
        label_smoothing: of all contrasts.
        contrast: "released" is the published code's loss with its slip, for comparison.
        mi_hidden: width of q's perceptrons.
        mi_bound: bound of q's log-variances.
        metric: of relations.
        scale: of relations.
        across: relations of drone to satellite too.
        teacher_gradient: let `mi` and `relation` move the cloud's descriptor, as published.
        height_kind: see `TokenHeights`.
        height_unit: see `TokenHeights`.
    """

    cross: float = 1.0
    points: float = 1.0
    intra: float = 4.0
    mi: float = 0.1
    relation: float = 1.0
    predict: float = 0.0
    heights: float = 0.0
    ground: float = field(default=0.0, metadata={"later": True})
    tokens: float = field(default=0.0, metadata={"later": True})
    ground_tokens: float = field(default=0.0, metadata={"later": True})
    temperature: float = 0.07
    label_smoothing: float = 0.1
    contrast: Literal["symmetric", "released"] = "symmetric"
    mi_hidden: int = 128
    mi_bound: float = 3.0
    metric: Metric = "euclidean"
    scale: Scale = "mean"
    across: bool = False
    teacher_gradient: bool = False
    height_kind: Literal["value", "order"] = "value"
    height_unit: float = 10.0

    def __post_init__(self) -> None:
        numbers = {"float": ((int, float), "a number"), "int": ((int,), "a whole number")}
        for entry in (f for f in fields(self) if f.type in numbers):
            value, (kinds, words) = getattr(self, entry.name), numbers[str(entry.type)]
            if isinstance(value, bool) or not isinstance(value, kinds):
                raise InputError(f"{entry.name} is {value!r}", where="GeoLink's terms", mend=f"give {words}")
        if bad := [name for name in _WEIGHTS if not 0 <= getattr(self, name) < float("inf")]:
            mend = "give 0 or more; to keep information instead of removing it, raise predict" if "mi" in bad else "give 0 or more"
            raise InputError(f"the weight {bad[0]} is {getattr(self, bad[0])}", where="GeoLink's terms", mend=mend)
        known = {
            "contrast": ("symmetric", "released"),
            "metric": ("euclidean", "cosine"),
            "scale": ("mean", "standard", "none"),
            "height_kind": ("value", "order"),
        }
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name} is {getattr(self, name)!r}", where="GeoLink's terms", mend=f"choose one of {', '.join(choices)}")
        for name in ("temperature", "mi_hidden", "mi_bound", "height_unit"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name)}", where="GeoLink's terms", mend="give a number above 0")
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"label_smoothing is {self.label_smoothing}", where="GeoLink's terms", mend="give 0 to below 1")

    @property
    def uses_clouds(self) -> bool:
        """Whether any term looks at clouds' descriptors."""
        return any((self.points, self.mi, self.relation, self.predict))

    @property
    def in_metres(self) -> tuple[str, ...]:
        """Those of the terms that ask where on the map a cloud's points lie."""
        return tuple(name for name in ("heights", "tokens", "ground_tokens") if getattr(self, name))

    def to_dict(self) -> dict[str, Any]:
        """The config as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TermsConfig:
        """Read what `to_dict` wrote.

        Raises:
            InputError: for unknown entries or values that make no sense.
        """
        if unknown := sorted(set(values) - {f.name for f in fields(cls)}):
            raise InputError(
                f"unknown entries: {', '.join(unknown)}", where="GeoLink's terms", mend="check the spelling, or update crossfix"
            )
        return cls(**values)

    def build(self, dim: int, point_dim: int, channels: int) -> GeoLinkTerms:
        """The objective for descriptors of `dim` entries, clouds' of `point_dim`, and tokens of `channels`."""
        return GeoLinkTerms(self, dim, point_dim, channels)


class GeoLinkLosses(NamedTuple):
    """What a batch came to.

    Attributes:
        total: the weighted sum, whose gradients reach the pictures' network and the 3D branch, and not q.
        fit: q's own loss, whose gradients reach q alone; 0 where q is not used.
        parts: each term before its weight, detached: cross, points, intra, mi, relation, predict, heights, ground, tokens, ground_tokens
            as far as they are used; fit; clouds (how many pairs had one) and spread (see `relation.spread`).
    """

    total: torch.Tensor
    fit: torch.Tensor
    parts: dict[str, torch.Tensor]

    @property
    def objective(self) -> torch.Tensor:
        """Total plus fit: one backward pass and one optimiser step move the model with q fixed and q with the model fixed."""
        return self.total + self.fit


class GeoLinkTerms(nn.Module):
    """GeoLink's objective.

    Args:
        config: weights and choices.
        dim: D.
        point_dim: Q; must equal D where cloud and picture are contrasted.
        channels: C of the tokens.

    Raises:
        InputError: if `points` has a weight and the lengths differ.
    """

    def __init__(self, config: TermsConfig, dim: int, point_dim: int, channels: int) -> None:
        super().__init__()
        if config.points and dim != point_dim:
            raise InputError(
                f"clouds' descriptors of {point_dim} entries cannot be contrasted with pictures' of {dim}",
                where="GeoLink's terms",
                mend="give the 3D branch experts, or the term points a weight of 0",
            )
        self.config = config
        kind = ReleasedInfoNCE if config.contrast == "released" else InfoNCE
        made = {
            name: kind(config.temperature, config.label_smoothing)
            for name in ("cross", "points", "intra", "ground")
            if getattr(config, name)
        }
        self.contrast = nn.ModuleDict(made)
        self.club = Club(dim, point_dim, config.mi_hidden, bound=config.mi_bound) if config.mi or config.predict else None
        self.token_heights = TokenHeights(channels, config.height_kind, unit=config.height_unit) if config.heights else None
        self.correspondence = Correspondence(channels) if config.tokens or config.ground_tokens else None

    @property
    def temperature(self) -> float:
        """The temperature in effect between drone and satellite; 0 where they are not contrasted."""
        found = [term for name, term in self.contrast.items() if name == "cross" and isinstance(term, InfoNCE)]
        return found[0].temperature if found else 0.0

    def q_parameters(self) -> list[nn.Parameter]:
        """The parameters that `GeoLinkLosses.fit` trains; all others belong to `GeoLinkLosses.total`."""
        return [] if self.club is None else list(self.club.parameters())

    def forward(
        self,
        drone_BD: torch.Tensor,
        satellite_BD: torch.Tensor,
        point_PQ: torch.Tensor | None = None,
        row_P: torch.Tensor | None = None,
        place_B: torch.Tensor | None = None,
        drone_BNC: torch.Tensor | None = None,
        satellite_BNC: torch.Tensor | None = None,
        drone_heights: Heights | None = None,
        satellite_heights: Heights | None = None,
        ground_GD: torch.Tensor | None = None,
        ground_row_G: torch.Tensor | None = None,
        sightings: Sightings | None = None,
        ground_GNC: torch.Tensor | None = None,
        ground_sightings: Sightings | None = None,
    ) -> GeoLinkLosses:
        """Add up the terms.

        Args:
            drone_BD: unit-norm descriptors.
            satellite_BD: unit-norm descriptors of the same places.
            point_PQ: unit-norm descriptors of clouds; None, or fewer than two (three where relations are standardised): their terms are
                left out.
            row_P: which pair each cloud belongs to; None: all have one, in order.
            place_B: integer ids of places; pairs of one place are not each other's negatives.
            drone_BNC: tokens, where heights are told.
            satellite_BNC: tokens, where heights are told.
            drone_heights: (height_BN, seen_BN) of the drone's tokens; None: not known.
            satellite_heights: the same of the satellite's.
            ground_GD: unit-norm descriptors of panoramas, where there are some.
            ground_row_G: which pair each panorama belongs to.
            sightings: (drone_PT2, satellite_PT2, seen_PT), points of the clouds in both pictures; None: not known.
            ground_GNC: tokens of the panoramas, where they are matched.
            ground_sightings: (ground_GT2, satellite_GT2, seen_GT), points of the clouds in panoramas and satellite pictures; None: not
                known.

        Raises:
            RunError: if a term is not finite; a contrast says of which pairs.
        """
        config = self.config
        parts: dict[str, torch.Tensor] = {}
        if config.cross:
            parts["cross"] = self.contrast["cross"](drone_BD, satellite_BD, place_B)
        if config.intra:
            parts["intra"] = sum((self.contrast["intra"](own, own, place_B) for own in (drone_BD, satellite_BD)), drone_BD.new_zeros(()))
        if config.ground and ground_GD is not None and ground_row_G is not None:
            own_G = None if place_B is None else place_B[ground_row_G]
            parts["ground"] = self.contrast["ground"](ground_GD, satellite_BD[ground_row_G], own_G)
        fit = drone_BD.new_zeros(())
        clouds = len(point_PQ) if point_PQ is not None else 0 if row_P is None else len(row_P)
        if config.uses_clouds and point_PQ is not None and clouds >= (3 if config.scale == "standard" else 2):
            try:
                fit = self._with_clouds(parts, drone_BD, satellite_BD, point_PQ, row_P, place_B)
            except NotFiniteError as error:  # its rows are clouds
                rows = error.rows if row_P is None else [int(row_P[row]) for row in error.rows]
                what = f"a contrastive loss of clouds is not finite, for descriptors of pairs {rows} are not" if rows else error.what
                raise NotFiniteError(what, rows, mend=str(error.mend)) from error
        if self.token_heights is not None:
            seen = [(drone_BNC, drone_heights), (satellite_BNC, satellite_heights)]
            told = [self.token_heights(tok_BNC, *known) for tok_BNC, known in seen if tok_BNC is not None and known is not None]
            if told:
                parts["heights"] = torch.stack(told).sum()
        if self.correspondence is not None and sightings is not None and drone_BNC is not None and satellite_BNC is not None:
            views = (tok_BNC if row_P is None else tok_BNC[row_P] for tok_BNC in (drone_BNC, satellite_BNC))
            parts["tokens"] = self.correspondence(*views, *sightings)
        if self.correspondence is not None and ground_sightings is not None and ground_GNC is not None and satellite_BNC is not None:
            parts["ground_tokens"] = self.correspondence(ground_GNC, satellite_BNC[ground_row_G], *ground_sightings)
        total = sum((getattr(config, name) * value for name, value in parts.items()), drone_BD.new_zeros(()))
        logged = {name: value.detach() for name, value in parts.items()}
        logged["clouds"] = torch.tensor(float(clouds))
        if config.uses_clouds and point_PQ is not None and clouds >= 2:
            logged["spread"] = spread(point_PQ)
            if self.club is not None:
                logged["fit"] = fit.detach()
        return GeoLinkLosses(total, fit, logged)

    def _with_clouds(
        self,
        parts: dict[str, torch.Tensor],
        drone_BD: torch.Tensor,
        satellite_BD: torch.Tensor,
        point_PQ: torch.Tensor,
        row_P: torch.Tensor | None,
        place_B: torch.Tensor | None,
    ) -> torch.Tensor:
        """Add the terms that look at clouds, and return q's own loss."""
        config = self.config
        if row_P is not None:
            drone_BD, satellite_BD, place_B = drone_BD[row_P], satellite_BD[row_P], None if place_B is None else place_B[row_P]
        views = (drone_BD, satellite_BD)
        zero = drone_BD.new_zeros(())
        if config.points:
            parts["points"] = sum((self.contrast["points"](point_PQ, view, place_B) for view in views), zero)
        if config.intra and point_PQ.requires_grad:
            parts["intra"] = parts["intra"] + self.contrast["intra"](point_PQ, point_PQ, place_B)
        standard_PQ = point_PQ if config.teacher_gradient else point_PQ.detach()
        if config.relation:
            parts["relation"] = relation_loss(
                drone_BD,
                satellite_BD,
                standard_PQ,
                metric=config.metric,
                scale=config.scale,
                across=config.across,
                teacher_gradient=config.teacher_gradient,
            )
        if self.club is None:
            return zero
        both_RD, standard_RQ = torch.cat(views), standard_PQ.repeat(2, 1)
        if config.mi:
            parts["mi"] = 2 * self.club(both_RD, standard_RQ, sets=2)
        if config.predict:
            parts["predict"] = 2 * self.club.likelihood_loss(both_RD, standard_RQ)
        return self.club.fit_loss(both_RD, standard_RQ)
