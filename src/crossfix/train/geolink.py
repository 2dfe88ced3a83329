"""What a training with 3D adds to the config of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from crossfix.clouds.degrade import Dials
from crossfix.errors import InputError
from crossfix.losses.geolink import TermsConfig
from crossfix.models.point_branch import PointConfig

_WHERE = "training config"


@dataclass(frozen=True)
class GeoLinkTraining:
    """Training with the clouds of the places; what is saved is the 2D network alone.

    Decisions where the paper is silent or its code makes no sense, besides those of `PointConfig` and `TermsConfig`:

    * A place has one row in a batch and one of its clouds, drawn for each batch. The published code makes three rows of a place, one a
      cloud, which are each other's false negatives when they meet.
    * Clouds of frame "free", as the authors publish theirs, are laid level, so that heights are heights.
    * A cloud is sampled once and keeps its points: drawn anew at each step, its neighbour tables would cost more than the branch.
    * Pictures that are mirrored have their cloud mirrored; published clouds are not. Clouds whose north is known (frame "enu") are turned
      with the satellite picture; where it is not known they stay as they lie.
    * Of the two steps of an alternation, q's and the model's, each is taken once a batch, on the same descriptors.

    Attributes:
        points: the 3D branch.
        terms: the objective; it takes the place of the config's contrastive loss, its temperature and label smoothing.
        teacher: "joint": the 3D branch learns with the pictures, as published. "frozen": it does not.
        teacher_steps: steps in which a frozen teacher is trained before, on clouds alone; 0 for encoders without parameters, which take no
            experts then.
        teacher_rate: learning rate of these.
        clouds: "right"; "wrong": every place has another's, always the same one, and its drones' cameras, and its panoramas are told to
            face another way: the control that must not help; "flat": all points lie at the height of the ground at the place, which
            leaves what the cameras tell; "none": the terms that need no cloud.
        group: number of the one cloud of a place that is used; None draws one of all.
        without: a place that has no cloud to use trains on its pictures alone ("2d"), or does not train ("leave out").
        sampling: of a cloud's points: "farthest" as published, "random" without preference, which keeps away from outliers.
        radius_m: length that is 1 for the 3D branch, of clouds in metres about the place, cut there; 0 puts each into the unit sphere.
        turn: "satellite" turns clouds as the satellite picture is turned, "none" leaves them.
        spoil: makes clouds worse before they are sampled, to find out what they must be like.
        sample_seed: of the points that are drawn and of what spoils them; the same for all seeds of a run unless changed.
        satellite_side_m: ground that a satellite picture spans, whose middle is the place; needed by the terms ``heights``, whose targets
            are the cloud's heights under each token of the satellite picture, ``tokens`` and ``ground_tokens``. 0: not known.
        q_rate: learning rate of the network of the information bound, which has an optimiser of its own.
    """

    points: PointConfig = field(default_factory=PointConfig)
    terms: TermsConfig = field(default_factory=TermsConfig)
    teacher: Literal["joint", "frozen"] = "joint"
    teacher_steps: int = 0
    teacher_rate: float = 1e-3
    clouds: Literal["right", "wrong", "flat", "none"] = "right"
    group: int | None = None
    without: Literal["2d", "leave out"] = "2d"
    sampling: Literal["farthest", "random"] = "farthest"
    radius_m: float = 0.0
    turn: Literal["satellite", "none"] = "satellite"
    spoil: Dials | None = None
    sample_seed: int = 0
    satellite_side_m: float = 0.0
    q_rate: float = 1e-3

    def __post_init__(self) -> None:
        known = {
            "teacher": ("joint", "frozen"),
            "clouds": ("right", "wrong", "flat", "none"),
            "without": ("2d", "leave out"),
            "sampling": ("farthest", "random"),
            "turn": ("satellite", "none"),
        }
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name} is {getattr(self, name)!r}", where=_WHERE, mend=f"choose one of {', '.join(choices)}")
        for name in ("teacher_steps", "radius_m", "satellite_side_m"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}", where=_WHERE, mend="give 0 or more")
        if self.teacher_steps and (self.teacher == "joint" or self.points.kind != "pn" or self.clouds == "none"):
            raise InputError("teacher_steps are for a frozen teacher of kind pn with clouds", where=_WHERE, mend="give 0")
        random = not self.teacher_steps if self.points.kind == "pn" else self.points.experts > 0
        if self.teacher == "frozen" and self.clouds != "none" and random:
            mend = "give a teacher of kind pn teacher_steps, or take kind grid or nn with experts = 0"
            raise InputError("the frozen teacher would teach random numbers", where=_WHERE, mend=mend)
        if not (self.terms.cross or self.terms.intra):
            raise InputError("batches without clouds would teach nothing", where=_WHERE, mend="give cross or intra a weight")
        placed = self.terms.in_metres
        if placed and (self.clouds == "none" or not self.satellite_side_m):
            what = f"the term {placed[0]} needs clouds, and the ground that a satellite picture spans"
            raise InputError(what, where=_WHERE, mend="give satellite_side_m")
