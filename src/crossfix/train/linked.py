"""GeoLink under the training loop: its module, its batches, and a teacher that learns before it teaches.

Axes: B pairs, P clouds of a batch, N points, C channels, G tokens of a satellite picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from crossfix.errors import DataError, InputError
from crossfix.losses.contrastive import InfoNCE
from crossfix.losses.geolink import GeoLinkLosses, GeoLinkTerms
from crossfix.models.gengeo import GenGeo
from crossfix.models.geolink import GeoLink, GeoLinkBatch, GeoLinkConfig, build_geolink
from crossfix.models.point_teacher import CloudPair, pretrain, recall
from crossfix.train.config import TrainConfig
from crossfix.train.geolink import GeoLinkTraining
from crossfix.train.keys import numpy_generator, torch_generator
from crossfix.train.prepare import Prepared
from crossfix.train.sightings import ground_sightings, heights_under, sightings
from crossfix.train.source import Rows
from crossfix.train.training_clouds import CloudDraw, Drawn

_TEACHER_BATCH = 64  # places, at most
_SIGHTINGS = 24  # points of a pair that both pictures show


class Linked(nn.Module):
    """GeoLink's training module with the names by which the loop knows its modules.

    Attributes:
        parts: each term of the last batch before its weight, and ``total``, their weighted sum.

    Args:
        link: the networks and terms.
    """

    def __init__(self, link: GeoLink) -> None:
        super().__init__()
        self.link = link
        self.parts: dict[str, float] = {}

    @property
    def model(self) -> GenGeo:
        """The 2D network, which alone is validated and saved."""
        return self.link.deployed()

    @property
    def temperature(self) -> float:
        """The temperature in effect between drone and satellite pictures."""
        return cast("GeoLinkTerms", self.link.terms).temperature

    def q_parameters(self) -> list[nn.Parameter]:
        """What has an optimiser of its own."""
        return cast("GeoLinkTerms", self.link.terms).q_parameters()

    def forward(self, batch: GeoLinkBatch) -> torch.Tensor:
        """The objective: one backward pass gives the model's gradients with q fixed, and q's with the model fixed.

        Raises:
            RunError: where a term is not finite.
        """
        losses: GeoLinkLosses = self.link(batch)
        values = torch.stack([losses.total.detach(), *(part.to(losses.total.device) for part in losses.parts.values())]).tolist()
        self.parts = dict(zip(("total", *losses.parts), values, strict=True))
        return losses.objective


def build_linked(config: TrainConfig, chosen: GeoLinkTraining) -> Linked:
    """The training module of a config; the 2D network's weights are those it would have without 3D.

    Raises:
        ModelError: if a network cannot be built.
        InputError: if networks and terms do not go together.
    """
    networks = GeoLinkConfig(config.arch, chosen.points, chosen.teacher)
    terms = chosen.terms if config.ground is None else replace(chosen.terms, ground=config.ground.weight)
    return Linked(build_geolink(networks, terms.build, pretrained=config.pretrained))


class LinkBatches:
    """Puts the clouds of a micro-batch's places beside its pictures.

    Args:
        chosen: the part of the config about 3D.
        draw: gives the clouds; None where none are wanted.
        grid: rows and columns of a satellite picture's tokens.
        seed: keys what is drawn here.
        device: where they go.
    """

    def __init__(self, chosen: GeoLinkTraining, draw: CloudDraw | None, grid: tuple[int, int], seed: int, device: torch.device) -> None:
        self._chosen, self._draw, self._grid, self._seed, self._device = chosen, draw, grid, seed, device

    def __call__(self, batch: Prepared, place_J: Rows, number: int) -> GeoLinkBatch:
        """Micro-batch ``number`` as `GeoLink` takes it."""
        made = GeoLinkBatch(batch.query_BCHW, batch.satellite_BCHW, batch.place_J)
        made = made._replace(ground_GCHW=batch.ground_GCHW, ground_row_G=batch.ground_row_G)
        if self._draw is None:
            return made
        drawn, device = self._draw(place_J, number), self._device
        assert batch.warp_B23 is not None
        warp_P23 = batch.warp_B23[drawn.row_P]
        made = made._replace(row_P=drawn.row_P.to(device))
        if self._chosen.terms.uses_clouds:  # or the 3D branch would run for nothing
            turn_P, mirror_P = turns_of(warp_P23)
            pts_PNC = mirrored(drawn.pts_PNC, mirror_P)
            turn_P = turn_P * drawn.north_P if self._chosen.turn == "satellite" else torch.zeros_like(turn_P)
            made = made._replace(pts_PNC=pts_PNC.to(device), table_PT=drawn.table_PT.to(device), turn_P=turn_P.to(device))
        if self._chosen.terms.heights:
            made = made._replace(satellite_heights=self._heights(drawn, warp_P23, len(place_J)))
        if self._chosen.terms.tokens and batch.camera_B34 is not None:
            made = made._replace(sightings=self._sightings(drawn, batch, number))
        if self._chosen.terms.ground_tokens and batch.eye_G3 is not None and len(drawn.row_P):
            made = made._replace(ground_sightings=self._ground_sightings(drawn, batch, self._draw.astray(place_J), number))
        return made

    def _heights(self, drawn: Drawn, warp_P23: torch.Tensor, pairs: int) -> tuple[torch.Tensor, torch.Tensor]:
        height_PG, seen_PG = heights_under(drawn.xyz_PN3, warp_P23, self._chosen.satellite_side_m, self._grid)
        height_BG, seen_BG = torch.zeros(pairs, height_PG.shape[1]), torch.zeros(pairs, height_PG.shape[1], dtype=torch.bool)
        height_BG[drawn.row_P], seen_BG[drawn.row_P] = height_PG, seen_PG
        return height_BG.to(self._device), seen_BG.to(self._device)

    def _sightings(self, drawn: Drawn, batch: Prepared, number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        assert batch.camera_B34 is not None
        assert batch.drone_B23 is not None
        assert batch.warp_B23 is not None
        row_P, side_m = drawn.row_P, self._chosen.satellite_side_m
        views = batch.camera_B34[row_P], batch.drone_B23[row_P], batch.warp_B23[row_P]
        found = sightings(drawn.xyz_PN3, *views, side_m, _SIGHTINGS, torch_generator(self._seed, number, "sightings"))
        drone_PT2, satellite_PT2, seen_PT = (part.to(self._device) for part in found)
        return drone_PT2, satellite_PT2, seen_PT

    def _ground_sightings(
        self, drawn: Drawn, batch: Prepared, astray_J: torch.Tensor, number: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of each panorama; those of places without a cloud show no point."""
        assert batch.eye_G3 is not None
        assert batch.facing is not None
        assert batch.ground_row_G is not None
        assert batch.warp_B23 is not None
        row_G = batch.ground_row_G.cpu()
        cloud_of = {int(row): cloud for cloud, row in enumerate(drawn.row_P)}
        cloud_G = torch.tensor([cloud_of.get(row, -1) for row in row_G.tolist()])
        xyz_GN3 = torch.where((cloud_G < 0)[:, None, None], torch.nan, drawn.xyz_PN3[cloud_G])
        draws = torch_generator(self._seed, number, "sightings from the ground")
        side_m = self._chosen.satellite_side_m
        facing = replace(batch.facing, away_deg_G=batch.facing.away_deg_G + astray_J[row_G])
        found = ground_sightings(xyz_GN3, batch.eye_G3, facing, batch.warp_B23[row_G], side_m, _SIGHTINGS, draws)
        ground_GT2, satellite_GT2, seen_GT = (part.to(self._device) for part in found)
        return ground_GT2, satellite_GT2, seen_GT


def turns_of(warp_P23: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """By how much ground stands turned in pictures, and whether they are mirrored.

    Args:
        warp_P23: similarities from pictures to stored ones that have north up, x right and y down.

    Returns:
        Radians (P,), counter-clockwise seen from above, by which to turn a cloud once it was mirrored where the second, bool (P,), says so.
    """
    mirror_P = torch.linalg.det(warp_P23[:, :, :2]) < 0
    turn_P = torch.atan2(-warp_P23[:, 0, 1], warp_P23[:, 1, 1])
    # Pictures are mirrored after they are turned, clouds before: the other way round.
    return torch.where(mirror_P, -turn_P, turn_P), mirror_P


def mirrored(pts_PNC: torch.Tensor, mirror_P: torch.Tensor) -> torch.Tensor:
    """Some clouds with east and west exchanged. Neighbour tables stay right."""
    pts_PNC = pts_PNC.clone()
    pts_PNC[..., 0] *= torch.where(mirror_P, -1.0, 1.0)[:, None]
    return pts_PNC


def teach(link: GeoLink, draw: CloudDraw, chosen: GeoLinkTraining, seed: int, device: torch.device) -> dict[str, Any]:
    """Train a frozen teacher that is to be trained, and find out what it knows.

    Two clouds of a training place are told from those of others. The places held out for validation then say how well the teacher does on
    places that it has not seen.

    Args:
        link: whose 3D branch is trained.
        draw: has the clouds.
        chosen: the part of the config about 3D.
        seed: keys every draw.
        device: where it runs.

    Returns:
        JSON values: ``steps``, first and last ``loss``, ``recall`` among so many held-out ``places``; what is not known is left out.

    Raises:
        DataError: where fewer than two places have the two clouds that it takes.
        RunError: where a loss is not finite.
    """
    clouds, rows = draw.clouds, draw.clouds.rows
    training = {draw.places[number] for number in draw.giver}
    own = [rows[place] for place in draw.places if place in training and len(rows[place]) > 1]
    held = [rows[place] for place in draw.places if place not in training and len(rows.get(place, ())) > 1]
    facts: dict[str, Any] = {}

    def pair(some: Sequence[tuple[int, ...]], number: int) -> CloudPair:
        draws = numpy_generator(seed, number, "teacher's clouds")
        two = np.array([draws.choice(one, 2, replace=False) for one in some], np.int64)
        first, second = (clouds.take(two[:, side], np.arange(len(some))) for side in (0, 1))
        turn_P = torch.rand(len(some), generator=torch_generator(seed, number, "teacher's turns")) * (2 * torch.pi)
        turn_P = turn_P * (first.north_P & second.north_P) if chosen.turn == "satellite" else torch.zeros_like(turn_P)
        parts = (first.pts_PNC, second.pts_PNC, first.table_PT, second.table_PT, turn_P)
        return CloudPair(*(part.to(device) for part in parts))

    if chosen.teacher_steps:
        if len(own) < 2:
            raise DataError(
                f"{len(own)} training places have two clouds, and a teacher learns from those", mend="build clouds with --groups 2 and more"
            )
        size = min(_TEACHER_BATCH, len(own))

        def some(number: int) -> CloudPair:
            picked = numpy_generator(seed, number, "teacher's places").choice(len(own), size, replace=False)
            return pair([own[int(place)] for place in picked], number)

        batches = cast("Sequence[CloudPair]", _Made(chosen.teacher_steps, some))
        losses = pretrain(link.points, batches, InfoNCE().to(device), learning_rate=chosen.teacher_rate)
        facts |= {"steps": len(losses), "loss": [round(losses[0], 5), round(losses[-1], 5)]}
    if len(held) > 1:
        facts |= {"recall": round(recall(link.points.eval(), pair(held, -1)), 4), "places": len(held)}
    return facts


class _Made:
    """A sequence whose items are made when they are asked for."""

    def __init__(self, count: int, make: Callable[[int], CloudPair]) -> None:
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> CloudPair:
        return self._make(number)


def check_alone(count: int, what: str) -> None:
    """Refuse to train in several processes with something that knows only one.

    Raises:
        InputError: where there are several.
    """
    if count > 1:
        raise InputError(f"training with {what} runs in one process, not in {count}", mend="start it without torchrun")
