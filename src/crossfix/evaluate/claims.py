"""What the papers claim, as trials on worlds-v1: the method, what it is compared with, and its parts left out one by one.

All variants of a claim share encoder, pictures, batches, steps and the length of the descriptor where the head allows it: what differs is
what the name says. The encoders are such as two cores train in minutes; what the papers use (DINOv2, ConvNeXt-B) is not compared here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from crossfix.clouds.degrade import Dials
from crossfix.errors import InputError
from crossfix.evaluate.trials import Trial
from crossfix.losses.geolink import TermsConfig
from crossfix.models.gengeo import ArchConfig, GemConfig, HeadConfig, MeanConfig, MixVprConfig, SaladConfig
from crossfix.models.point_branch import PointConfig
from crossfix.train.augment import AugmentConfig, ColourConfig, WarpConfig
from crossfix.train.config import OptimConfig, SetData, TrainConfig
from crossfix.train.geolink import GeoLinkTraining
from crossfix.train.ground import GroundViews
from crossfix.train.panoramas import PanoramaAugment
from crossfix.worlds.sets.worldsv1 import SIDE_M

_PX = 64
_STORED_PX = 96  # pictures are cut from larger ones, so that a turn leaves no corner without ground
_SALAD = SaladConfig(clusters=16, cluster_dim=32, token_dim=64, hidden=256, dropout=0.0)
_DIM = _SALAD.out_dim
_MIXVPR = MixVprConfig(channels=_DIM // 4, rows=4)
# Weaker than the default: at full strength the loss had fallen by 0.2 after 110 steps, with these by 0.4.
_COLOUR = ColourConfig(brightness=0.1, contrast=0.25, saturation=0.4, gain=0.12, gamma=0.25, mixing=0.08, grey=0.06, haze=0.25, cutout=0.1)
_REACH_M = 130.0  # half the diagonal of a satellite picture
_LONE = TermsConfig(intra=0.0, mi=0.0, relation=0.0)  # clouds contrasted with pictures
_NOISY = Dials(noise=2.0, holes=0.2, outliers=0.05)
_LONGER = 1.35  # time of a step with all terms over that of the 2D network alone, measured


def _drone(head: HeadConfig, *, small: bool, split: str = "train", separate_heads: bool = False) -> TrainConfig:
    """Drone to satellite with one small encoder: 64 tokens of 64 pixels a side."""
    return TrainConfig(
        recipe="lab",
        arch=ArchConfig("resnet10t", _PX, head, stride=8, separate_heads=separate_heads),
        data=SetData("worlds-v1", split, "d2s", (_STORED_PX, _STORED_PX), _STORED_PX, draw="place"),
        steps=300 if small else 1200,
        batch=64,
        held_out=32 if small else 96,
        optim=OptimConfig(learning_rate=3e-3, warmup_steps=100),
        augment=AugmentConfig(satellite=WarpConfig(rotate_deg=10.0, shift=0.05, side=(0.85, 1.18)), colour=_COLOUR, upright=True),
        validate_every=300,
        checkpoint_every=300,
    )


def gengeo(*, small: bool = False) -> list[Trial]:
    """GenGeo's claim: shared SALAD clusters transfer better to unseen regions than the baselines' heads and than SALAD with parts left out.

    Sample4Geo's head is the mean with a layer norm, CV-Cities' is MixVPR.
    """
    made = _drone(_SALAD, small=small)

    def head(other: HeadConfig) -> TrainConfig:
        return replace(made, arch=replace(made.arch, head=other))

    return [
        Trial("gengeo", "shared SALAD clusters, dustbin as published", made),
        Trial("sample4geo", "mean and layer norm, as Sample4Geo", head(MeanConfig(norm=True))),
        Trial("cvcities", "MixVPR, as CV-Cities", head(_MIXVPR)),
        Trial("gem", "generalised mean, projected", head(GemConfig(dim=_DIM))),
        Trial("separate", "SALAD clusters of each view's own", replace(made, arch=replace(made.arch, separate_heads=True))),
        Trial("no-dustbin", "without a dustbin", head(replace(_SALAD, dustbin="none"))),
        Trial("no-global", "without the global token", head(replace(_SALAD, token_dim=0))),
        Trial("few-clusters", "8 clusters of 64", head(replace(_SALAD, clusters=8, cluster_dim=64))),
        Trial("many-clusters", "32 clusters of 16", head(replace(_SALAD, clusters=32, cluster_dim=16))),
        Trial(
            "coordinates", "beyond the paper: tokens are told where they stand", replace(made, arch=replace(made.arch, coordinates=True))
        ),
    ]


def gengeo_ground(*, small: bool = False) -> list[Trial]:
    """The same claim where the paper makes it, on panoramas that face north: their layout is not the satellite picture's.

    What they lose where nobody knows north stands beside it.

    Panoramas of 32 by 128 pixels give as many tokens as satellite pictures, 64, for MixVPR takes one number of tokens only.
    """
    data = SetData("worlds-v1", "train", "g2s", (_PX // 2, 2 * _PX), _PX, draw="place")
    made = replace(_drone(_SALAD, small=small), data=data, augment=PanoramaAugment())

    def arch(**changes: Any) -> TrainConfig:  # noqa: ANN401
        return replace(made, arch=replace(made.arch, **changes))

    return [
        Trial("gengeo", "shared SALAD clusters, dustbin as published", made),
        Trial("sample4geo", "mean and layer norm, as Sample4Geo", arch(head=MeanConfig(norm=True))),
        Trial("cvcities", "MixVPR, as CV-Cities", arch(head=_MIXVPR)),
        Trial("gem", "generalised mean, projected", arch(head=GemConfig(dim=_DIM))),
        Trial("separate", "SALAD clusters of each view's own", arch(separate_heads=True)),
        Trial("no-dustbin", "without a dustbin", arch(head=replace(_SALAD, dustbin="none"))),
        Trial("coordinates", "beyond the paper: tokens are told where they stand", arch(coordinates=True)),
        Trial(
            "overhead",
            "and panoramas are redrawn as seen from above",
            replace(arch(coordinates=True), data=replace(data, query_hw=(_PX, 4 * _PX), ground_fit="overhead")),
        ),
    ]


def dustbin(*, small: bool = False) -> list[Trial]:
    """Forms of the dustbin in which the model learns how much of an image to leave out, against the published one."""
    made = _drone(_SALAD, small=small)
    forms = {
        "fixed": "as published: always the same share",
        "none": "without a dustbin",
        "relaxed": "clusters' shares relaxed",
        "partial": "mass given by the tokens, transported in part",
        "column": "a dustbin beside the clusters, row by row",
        "gate": "tokens gated, then balanced",
    }
    found = []
    for form, about in forms.items():
        chosen = replace(_SALAD, dustbin=form)  # type: ignore[arg-type]
        found.append(Trial(form, about, replace(made, arch=replace(made.arch, head=chosen))))
    by_mass = replace(_SALAD, dustbin="partial", cluster_weight="mass")
    found.append(Trial("partial-mass", "partial, and clusters count by their mass", replace(made, arch=replace(made.arch, head=by_mass))))
    return found


def oracles(*, small: bool = False) -> list[Trial]:
    """The same network trained on each region's own style: what was possible there, and proof that a shift is one."""
    names = {"seen": "train", "near": "near-train", "middle": "middle-train", "far": "far-train"}
    return [Trial(part, f"trained on {split}", _drone(_SALAD, small=small, split=split)) for part, split in names.items()]


def geolink(*, small: bool = False) -> list[Trial]:
    """GeoLink's claim: clouds in training make better descriptors of pictures, in unseen regions and bad weather most of all.

    Clouds come from ``crossfix clouds build LAB --data worlds-v1 --backend world --split train``. The head is MixVPR, the paper's: it
    knows where in a picture a token stands, so that it can tell of a layout if a cloud teaches it one; SALAD forgets it. All variants see
    the same pictures in the same batches. What they are compared with, besides the 2D network alone:

    * ``intra``: the terms that need no cloud. What they bring is not geometry.
    * ``longer``: the 2D network alone for as many more steps as a training with 3D takes longer (measured).
    * variants of wrong clouds: each place has another's in the whole training. A gain that stays with them is not geometry.
    * ``tokens-flat``: what the reconstruction's cameras bring without its heights.

    GSR and UVRD stand on the contrast between clouds and pictures, without which the 3D branch would not learn.
    """
    made = _drone(_MIXVPR, small=small)
    lone, every = _LONE, GeoLinkTraining()
    fine = replace(every, sampling="random", radius_m=_REACH_M)  # keeps where things stand, and their size
    grid = _grid()
    taught = replace(fine, teacher="frozen", teacher_steps=100 if small else 400, terms=TermsConfig(intra=0.0, mi=0.0, scale="standard"))
    told = replace(lone, points=0.0, heights=1.0, height_unit=3.0)  # a storey: at 10 m the term is a hundredth of the contrast
    heights = replace(fine, terms=told, satellite_side_m=SIDE_M)
    tokens = _tokens()
    kinds: list[tuple[str, str, GeoLinkTraining]] = [
        ("intra", "2D with the terms that need no cloud", replace(every, clouds="none", terms=replace(lone, points=0.0, intra=4.0))),
        ("contrast", "and clouds contrasted with pictures", replace(every, terms=lone)),
        ("gsr", "contrast and GSR", replace(every, terms=replace(lone, mi=TermsConfig.mi))),
        ("uvrd", "contrast and UVRD", replace(every, terms=replace(lone, relation=TermsConfig.relation))),
        ("all", "all of the paper's terms", every),
        ("all-wrong", "all, with other places' clouds", replace(every, clouds="wrong")),
        ("all-noisy", "all, with clouds of 2 m noise, holes and outliers", replace(every, spoil=_NOISY)),
        ("all-sparse", "all, with clouds of which 70 % is missing", replace(every, spoil=Dials(holes=0.7))),
        ("grid", "a grid of the cloud's heights as frozen teacher", grid),
        ("grid-wrong", "the same of other places", replace(grid, clouds="wrong")),
        ("teacher", "3D branch taught by clouds alone, then frozen", taught),
        ("teacher-wrong", "the same, of other places", replace(taught, clouds="wrong")),
        ("heights", "tokens of the satellite picture tell the cloud's heights", heights),
        ("heights-wrong", "the same, of other places", replace(heights, clouds="wrong")),
        ("tokens", "tokens of both pictures that show one point of the cloud agree", tokens),
        ("tokens-flat", "the same, with all points on the ground", replace(tokens, clouds="flat")),
        ("tokens-wrong", "the same, with clouds and cameras of other places", replace(tokens, clouds="wrong")),
        ("tokens-noisy", "the same, with clouds of 2 m noise, holes and outliers", replace(tokens, spoil=_NOISY)),
        ("tokens-all", "and all of the paper's terms", replace(every, terms=replace(every.terms, tokens=3.0), satellite_side_m=SIDE_M)),
    ]
    return [
        Trial("base", "2D alone", made),
        *(Trial(name, about, replace(made, geolink=chosen)) for name, about, chosen in kinds),
        Trial("longer", f"2D alone, {_LONGER:g} times the steps", replace(made, steps=round(_LONGER * made.steps))),
    ]


def geolink_clouds(*, small: bool = False) -> list[Trial]:
    """What a cloud must say, and how, to teach a picture anything: all terms with other clouds, inputs and relations.

    No gain here is geometry until it is run with ``clouds="wrong"`` as well.
    """
    trials = {trial.name: trial for trial in geolink(small=small)}
    every = GeoLinkTraining()

    def points(**changes: Any) -> GeoLinkTraining:  # noqa: ANN401
        return replace(every, points=replace(every.points, **changes))

    kinds: list[tuple[str, str, GeoLinkTraining]] = [
        ("metres", "random points in metres about the place, no unit sphere", replace(every, sampling="random", radius_m=_REACH_M)),
        ("colour", "with colours", points(colour=True)),
        ("relative", "heights over each cloud's own range", points(height="relative")),
        ("flat", "no channel of heights", points(height="none")),
        ("north", "clouds stay north-up when pictures are turned", replace(every, turn="none")),
        ("one-cloud", "always the first cloud of a place", replace(every, group=0)),
        ("pattern", "relations standardised: their pattern alone", replace(every, terms=TermsConfig(scale="standard"))),
        ("predict", "pictures keep what tells of the cloud, instead of losing it", replace(every, terms=TermsConfig(mi=0.0, predict=0.1))),
        ("grid-joint", "experts over a grid of heights", replace(points(kind="grid"), sampling="random", radius_m=_REACH_M)),
    ]
    made = trials["base"].config
    return [trials["all"], trials["base"], *(Trial(name, about, replace(made, geolink=chosen)) for name, about, chosen in kinds)]


def _tokens() -> GeoLinkTraining:
    """Tokens of both pictures that show one point of the cloud agree: what the cameras of a reconstruction tell."""
    terms = replace(_LONE, points=0.0, tokens=3.0)
    return GeoLinkTraining(terms=terms, sampling="random", radius_m=_REACH_M, satellite_side_m=SIDE_M)


def _grid() -> GeoLinkTraining:
    """A grid of the cloud's heights as a teacher that has nothing to learn."""
    terms = replace(_LONE, points=0.0, relation=1.0, scale="standard", predict=0.5)
    points = PointConfig(kind="grid", experts=0)
    return GeoLinkTraining(points=points, teacher="frozen", terms=terms, sampling="random", radius_m=_REACH_M)


def fusion(*, small: bool = False) -> list[Trial]:
    """The join of both papers: any view and any heading in one model of shared clusters, with 3D in training; against each paper alone.

    All variants take equally many steps of equally many places. Those of any view see a panorama of every other place besides, redrawn as
    seen from above, so that all pictures pass through one network at one size. Heads of clusters are told where tokens stand, without
    which they find no panorama.
    """
    drone = _drone(_SALAD, small=small)
    drone = replace(drone, arch=replace(drone.arch, coordinates=True))
    mixed = PanoramaAugment(heading="free", fov_deg=(70.0, 360.0))
    any_view = replace(drone, ground=GroundViews((_PX, 4 * _PX), augment=mixed))
    data = SetData("worlds-v1", "train", "g2s", (_PX, 4 * _PX), _PX, draw="place", ground_fit="overhead")
    ground = replace(drone, data=data, augment=mixed)
    drones_matched = _tokens()
    matched = replace(drones_matched, terms=replace(drones_matched.terms, ground_tokens=drones_matched.terms.tokens))
    own = replace(any_view, geolink=matched, arch=replace(drone.arch, ground_encoder=True))
    geolink = replace(_drone(_MIXVPR, small=small), geolink=GeoLinkTraining())
    return [
        Trial("fusion", "drones and panoramas, shared SALAD clusters, tokens matched through clouds", replace(any_view, geolink=matched)),
        Trial("fusion-flat", "the same with all points on the ground", replace(any_view, geolink=replace(matched, clouds="flat"))),
        Trial(
            "fusion-wrong", "the same with other places' clouds and bearings", replace(any_view, geolink=replace(matched, clouds="wrong"))
        ),
        Trial("fusion-drones", "the same with drones' tokens matched alone", replace(any_view, geolink=drones_matched)),
        Trial("any-view", "the same without 3D", any_view),
        Trial("fusion-own", "fusion, and panoramas have an encoder of their own before the shared clusters", own),
        Trial("gengeo", "GenGeo on drones alone, told where tokens stand", drone),
        Trial("gengeo-ground", "GenGeo on panoramas alone", ground),
        Trial("geolink", "GeoLink with all of the paper's terms, drones alone", geolink),
    ]


CLAIMS: dict[str, Callable[..., list[Trial]]] = {
    "gengeo": gengeo,
    "gengeo-ground": gengeo_ground,
    "dustbin": dustbin,
    "oracles": oracles,
    "geolink": geolink,
    "geolink-clouds": geolink_clouds,
    "fusion": fusion,
}
CLAIM_GROUPS: dict[str, tuple[str, ...]] = {
    "gengeo": ("seen", "near", "middle", "far", "unseen", "years later", "off-centre", "hidden"),
    "gengeo-ground": ("north known, seen", "north known, unseen", "panorama, unseen"),
    "dustbin": ("seen", "near", "middle", "far", "unseen", "off-centre", "hidden"),
    "oracles": ("seen", "near", "middle", "far"),
    "geolink-clouds": ("seen", "near", "middle", "far", "unseen", "weather"),
    "geolink": ("seen", "near", "middle", "far", "unseen", "80 m", "300 m", "weather", "map to drone"),
    "fusion": (
        "seen",
        "unseen",
        "years later",
        "weather",
        "off-centre",
        "hidden",
        "map to drone",
        "panorama",
        "panorama, unseen",
        "limited view",
    ),
}


def claim(name: str, *, small: bool = False) -> list[Trial]:
    """The trials of a claim.

    Raises:
        InputError: where there is none of this name.
    """
    if name not in CLAIMS:
        raise InputError("there is no such claim", where=name, mend=f"choose one of {', '.join(CLAIMS)}")
    return CLAIMS[name](small=small)
