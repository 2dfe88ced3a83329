"""From stored pairs to what the network takes: augmentation and normalisation, keyed by (seed, number).

Axes: J pairs of a batch, B those whose pictures a process has, T points of a pair, C H W channels and pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import torch

from crossfix.models.overhead import TURNS
from crossfix.train.augment import AugmentConfig, augment, plain
from crossfix.train.config import TrainConfig
from crossfix.train.ground import Facing, GroundViews, redrawn, rolled
from crossfix.train.keys import torch_generator
from crossfix.train.overlap import points_on_map
from crossfix.train.panoramas import PanoramaAugment, middle, spoil, turn_together
from crossfix.train.sightings import sighted_on_map
from crossfix.train.source import Bytes, PairBatch, Side
from crossfix.train.weather import weather

_AWAY_DEG = 180.0 / TURNS  # as far from the nearest turn as a heading can be
_POINTS = 32  # of a pair; about half of them are seen by both pictures


class Points(NamedTuple):
    """Points of both pictures of a pair that show the same ground; see `overlap`."""

    satellite_BT2: torch.Tensor
    query_BT2: torch.Tensor
    seen_BT: torch.Tensor


class Prepared(NamedTuple):
    """A micro-batch as the network takes it. Panoramas have another size than satellite pictures, unless they are redrawn from above.

    ``warp_B23``: beside drone pictures, the similarities from the satellite pictures to the stored ones, see `augment`; on the CPU.
    ``drone_B23``: the same of the drone pictures. ``camera_B34``: their cameras where clouds tell them, see `PairBatch`; on the CPU.
    ``ground_GCHW``: panoramas of some pairs besides; ``ground_row_G``: which pairs. ``facing``: how they stand where they are redrawn from
    above; ``eye_G3``: where they were taken, see `PairBatch`; both on the CPU. ``ground_points``: points that panoramas and satellite
    pictures of their pairs show.
    """

    satellite_BCHW: torch.Tensor
    query_BCHW: torch.Tensor
    place_J: torch.Tensor
    points: Points | None
    neutral_JJ: torch.Tensor | None
    warp_B23: torch.Tensor | None = None
    ground_GCHW: torch.Tensor | None = None
    ground_row_G: torch.Tensor | None = None
    drone_B23: torch.Tensor | None = None
    camera_B34: torch.Tensor | None = None
    facing: Facing | None = None
    eye_G3: torch.Tensor | None = None
    ground_points: Points | None = None


class Prepare:
    """Augments and normalises micro-batches, and pictures to be described.

    Args:
        config: the run's.
        margin: how many sides of the chip a stored satellite picture spans.
        multiple: what the width of a panorama of a smaller field of view has to be a multiple of.
        device: where the pixel work runs.
    """

    def __init__(self, config: TrainConfig, margin: float, multiple: int, device: torch.device) -> None:
        self.config, self.margin, self.multiple, self.device = config, margin, multiple, device
        self.overhead = config.preprocessing.ground_fit == "overhead"
        self.mean_C11 = torch.tensor(config.mean, device=device)[:, None, None]
        self.std_C11 = torch.tensor(config.std, device=device)[:, None, None]

    def __call__(self, batch: PairBatch, number: int, step: int) -> Prepared:
        """Prepare micro-batch ``number``, which optimiser step ``step`` takes."""
        chosen = self.config.augment
        if isinstance(chosen, PanoramaAugment):
            satellite_BCHW, query_BCHW = self._panoramas(batch, number, chosen)
            points, warp_B23, drone_B23 = None, None, None
        else:
            satellite_BCHW, query_BCHW, points, warps = self._drones(batch, number, step, chosen)
            warp_B23, drone_B23 = warps[0], warps[1] if len(warps) > 1 else None
        place_J = torch.from_numpy(batch.place_J).to(self.device)
        neutral_JJ = None if batch.neutral_JJ is None else torch.from_numpy(batch.neutral_JJ).to(self.device)
        row_G = None if batch.ground_row_G is None else torch.from_numpy(batch.ground_row_G).to(self.device)
        camera_B34 = None if batch.camera_B34 is None else torch.from_numpy(batch.camera_B34)
        eye_G3 = None if batch.eye_G3 is None else torch.from_numpy(batch.eye_G3)
        ground_GCHW, facing = self._ground(batch, number, warp_B23)
        ground_points = self._ground_points(batch, number, warp_B23, facing)
        known = place_J, points, neutral_JJ, warp_B23, ground_GCHW, row_G, drone_B23, camera_B34, facing, eye_G3, ground_points
        return Prepared(self._normalise_(satellite_BCHW), self._normalise_(query_BCHW), *known)

    def plain(self, picture_BHWC: Bytes, side: Side) -> torch.Tensor:
        """Pictures without augmentation, as the deployed model sees them."""
        panoramic = isinstance(self.config.augment, PanoramaAugment)
        if side == "ground" or panoramic:  # stored as the network takes them, or redrawn
            img_BCHW = self._floats(picture_BHWC)
            if self.overhead and side != "satellite":
                img_BCHW = redrawn(img_BCHW, self.config.arch.px, Facing.north(len(img_BCHW)), self.mean_C11)
        else:
            stored = torch.from_numpy(picture_BHWC).to(self.device)
            img_BCHW = plain(stored, self.config.arch.px, margin=self.margin if side == "satellite" else 1.0)
        return self._normalise_(img_BCHW.contiguous(memory_format=torch.channels_last))

    def _panoramas(self, batch: PairBatch, number: int, chosen: PanoramaAugment) -> tuple[torch.Tensor, torch.Tensor]:
        seed, rows = self.config.seed, range(batch.first, batch.first + len(batch.query_BHWC))

        def draws(what: str) -> Iterator[torch.Generator]:
            return (torch_generator(seed, number, f"{what}/{row}") for row in rows)

        satellite_BCHW = spoil(self._floats(batch.satellite_BHWC), chosen, chosen.satellite_grid, draws("satellite"))
        ground_BCHW = spoil(self._floats(batch.query_BHWC), chosen, chosen.ground_grid, draws("ground"))
        free = chosen.heading == "free"
        together = replace(chosen, heading="quarters") if free and self.overhead else chosen
        ground_BCHW, satellite_BCHW = turn_together(ground_BCHW, satellite_BCHW, together, draws("turn"))
        if self.overhead:
            facing = self._facing(None, chosen, _AWAY_DEG if free else 0.0, draws("facing"), len(ground_BCHW))
            ground_BCHW = redrawn(ground_BCHW, self.config.arch.px, facing, self.mean_C11)
        else:
            ground_BCHW = self._narrowed(ground_BCHW, chosen, number)
        last = torch.channels_last
        return satellite_BCHW.contiguous(memory_format=last), ground_BCHW.contiguous(memory_format=last)

    def _narrowed(self, ground_BCHW: torch.Tensor, chosen: PanoramaAugment, number: int) -> torch.Tensor:
        """The middle of panoramas, as wide as is drawn for their batch, where a field of view is."""
        if chosen.fov_deg is None:
            return ground_BCHW
        low, high = chosen.fov_deg
        fov_deg = low + (high - low) * float(torch.rand((), generator=torch_generator(self.config.seed, number, "fov")))
        return middle(ground_BCHW, fov_deg, self.multiple)

    def _facing(
        self, warp_G23: torch.Tensor | None, chosen: PanoramaAugment, away_deg: float, draws: Iterable[torch.Generator], count: int
    ) -> Facing:
        """How panoramas stand: as their satellite pictures but for an angle that is drawn, a part of them at one of the turns."""
        low, high = chosen.fov_deg or (360.0, 360.0)
        away_G, fov_G, turn_G = torch.stack([torch.rand(3, generator=one) for one in draws], 1)
        warp_G22 = Facing.north(count).warp_G22 if warp_G23 is None else warp_G23[:, :, :2]
        return Facing(warp_G22, away_deg * (2 * away_G - 1), low + (high - low) * fov_G, (TURNS * turn_G).floor() * (360 / TURNS))

    def _ground(self, batch: PairBatch, number: int, warp_B23: torch.Tensor | None) -> tuple[torch.Tensor | None, Facing | None]:
        """Panoramas beside drone pictures, and how they stand where they are redrawn."""
        chosen: GroundViews | None = self.config.ground
        if batch.ground_GHWC is None or batch.ground_row_G is None or chosen is None:
            return None, None
        row_G = batch.ground_row_G.tolist()

        def draws(what: str) -> Iterator[torch.Generator]:
            return (torch_generator(self.config.seed, number, f"{what}/{row}") for row in row_G)

        ground_GCHW = spoil(self._floats(batch.ground_GHWC), chosen.augment, chosen.augment.ground_grid, draws("ground"))
        ground_GCHW = self._weathered(ground_GCHW, batch, number, "ground weather")
        facing = None
        if self.overhead:
            assert warp_B23 is not None
            away_deg = _AWAY_DEG if self.config.query_turns > 1 else 180.0
            facing = self._facing(warp_B23[row_G], chosen.augment, away_deg, draws("facing"), len(row_G))
            ground_GCHW = redrawn(ground_GCHW, self.config.arch.px, facing, self.mean_C11)
        else:
            ground_GCHW = rolled(ground_GCHW, self._mirrored(batch, number)[row_G], draws("turn"))
            ground_GCHW = self._narrowed(ground_GCHW, chosen.augment, number)
        return self._normalise_(ground_GCHW.contiguous(memory_format=torch.channels_last)), facing

    def _ground_points(self, batch: PairBatch, number: int, warp_B23: torch.Tensor | None, facing: Facing | None) -> Points | None:
        """Points that panoramas redrawn from above and satellite pictures show, where the term asks for them and the source knows some."""
        if batch.sighted_GS4 is None or facing is None or warp_B23 is None or not self.config.tokens_weight:
            return None
        draws = torch_generator(self.config.seed, number, "sighted")
        found = sighted_on_map(torch.from_numpy(batch.sighted_GS4), facing, warp_B23[batch.ground_row_G], _POINTS, draws)
        ground_GT2, satellite_GT2, seen_GT = (part.to(self.device) for part in found)
        return Points(satellite_GT2, ground_GT2, seen_GT)

    def _weathered(self, img_BCHW: torch.Tensor, batch: PairBatch, number: int, purpose: str) -> torch.Tensor:
        chosen = self.config.augment
        if not isinstance(chosen, AugmentConfig) or not chosen.weather:
            return img_BCHW
        changed = weather(img_BCHW, chosen.weather, self._draws(batch, number, purpose))
        return changed.contiguous(memory_format=torch.channels_last)

    def _mirrored(self, batch: PairBatch, number: int) -> torch.Tensor:
        """Whose pictures, all of a place, are mirrored."""
        chosen = self.config.augment
        mirrors = isinstance(chosen, AugmentConfig) and chosen.mirror
        return torch.rand(len(batch.query_BHWC), generator=self._draws(batch, number, "mirror")) < (0.5 if mirrors else 0.0)

    def _drones(
        self, batch: PairBatch, number: int, step: int, chosen: AugmentConfig
    ) -> tuple[torch.Tensor, torch.Tensor, Points | None, list[torch.Tensor]]:
        px, strength, count = self.config.arch.px, chosen.strength(step), len(batch.query_BHWC)
        mirror_B = self._mirrored(batch, number)
        turn_B = self.turns(batch, number)
        views: list[torch.Tensor] = []
        warps: list[torch.Tensor] = []
        alone = self.config.ground is not None and self.config.ground.alone
        for name, picture_BHWC, warp, margin in (
            ("satellite", batch.satellite_BHWC, chosen.satellite, self.margin),
            ("drone", batch.query_BHWC, chosen.drone, 1.0),
        ):
            if name == "drone" and alone:  # nothing is learnt from them
                views.append(views[0][:0])
                break
            img_BCHW, theta_B23 = augment(
                torch.from_numpy(picture_BHWC).to(self.device),
                px,
                warp,
                chosen.colour,
                self._draws(batch, number, name),
                margin=margin,
                strength=strength,
                mirror_B=mirror_B,
                turn_B=turn_B[name],
            )
            views.append(self._weathered(img_BCHW, batch, number, "weather") if name == "drone" else img_BCHW)
            warps.append(theta_B23)
        points = None
        if batch.poses is not None and self.config.tokens_weight > 0 and not alone:
            query_BT2 = torch.rand(count, _POINTS, 2, generator=self._draws(batch, number, "points")) * 2 - 1
            satellite_BT2, seen_BT = points_on_map(query_BT2, batch.poses, warps[1], warps[0])
            points = Points(satellite_BT2.to(self.device), query_BT2.to(self.device), seen_BT.to(self.device))
        return views[0], views[1], points, warps

    def turns(self, batch: PairBatch, number: int) -> dict[str, torch.Tensor | None]:
        """Angles by which both views are turned besides their augmentation: none, or those that ``AugmentConfig.upright`` says."""
        if self.config.query_turns == 1 or batch.heading_B is None:
            return {"satellite": None, "drone": None}
        quarter_B = torch.randint(4, (len(batch.query_BHWC),), generator=self._draws(batch, number, "quarter"))
        upright_B = (torch.from_numpy(batch.heading_B) / 90).round()
        return {"satellite": quarter_B * (math.pi / 2), "drone": (quarter_B - upright_B) * (math.pi / 2)}

    def _draws(self, batch: PairBatch, number: int, purpose: str) -> torch.Generator:
        """One generator for all pictures of a process."""
        return torch_generator(self.config.seed, number, f"{purpose}/{batch.first}" if batch.first else purpose)

    def _floats(self, picture_BHWC: Bytes) -> torch.Tensor:
        """(B, 3, H, W) float32 in [0, 1]."""
        return torch.from_numpy(picture_BHWC).to(self.device).permute(0, 3, 1, 2).float().div_(255)

    def _normalise_(self, img_BCHW: torch.Tensor) -> torch.Tensor:
        return img_BCHW.sub_(self.mean_C11).div_(self.std_C11)
