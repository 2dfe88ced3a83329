"""The published protocols: how each data set's own script scores descriptors, quirks included, as a table.

Every protocol is scored twice, see `crossfix.evaluate.score`: as its authors' script does it (``paper``), and strictly. What the scripts
have in common: they take plain products, trusting descriptors to have unit norm; they see a gallery of bounded size; a gallery image of id
-1 is junk, neither right nor wrong, and taken out. In University-1652's lineage -1 marks detections too poor to judge: junk is junk under
the strict protocol too. That Sample4Geo turns distractors into junk is a choice of its own, which the strict protocol does not follow.

Scripts that sort leave the order of equal scores to chance (numpy's sort is not stable). Here they stand as a stable sort from the smallest
score has it, read backwards: the later row of the gallery first, and a score that is not a number before all others. Where the gallery has
fewer than K images the scripts stop; here R@K looks at all there are, and SDM@K and Dis@K are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from crossfix.errors import InputError
from crossfix.evaluate.distances import METRES_PER_DEGREE, Distance, flat_degrees, plane_m, sphere_m
from crossfix.evaluate.ranks import TieRule


@dataclass(frozen=True)
class Decay:
    """A spatial distance metric.

    Attributes:
        ks: how many images count, one score each.
        by: how distance is taken.
        rate: of the decay per unit of it.
    """

    ks: tuple[int, ...]
    by: Distance
    rate: float


@dataclass(frozen=True)
class Protocol:
    """How a published protocol scores.

    Attributes:
        name: as ``crossfix score`` knows it.
        about: one sentence for people: whose script, and what is peculiar to it.
        right: which gallery images are right: "ids", those that bear the query's id; "last", the last of these alone; "positives", those
            whose ids the query's ``positives`` hold.
        ties: how equal scores are settled; "for" the query goes with counting what scores strictly higher, "later" with sorting.
        top_percent: how many images R@1% looks at, of the size of the gallery.
        ks: of R@K.
        ap: form of average precision; None where the script has none.
        ap_of_answered: AP is the mean over the queries that have a positive, not over all.
        drop_distractors: gallery images whose id no query bears are junk.
        hit: the script has VIGOR's hit rate.
        within_m: the script has R@K for any image so near, too.
        sdm: the spatial distance metric, if it has one.
        sdm_rate_per_m: its decay per metre, for the strict protocol.
        dis: of Dis@K, the mean distance of the first K.
        ma_m: of MA@K, whether the first is nearer than K metres.
        distance: as the paper takes it for Dis and MA.
        query_needs: arrays of the queries beside features and ids.
        gallery_needs: likewise.
    """

    name: str
    about: str
    right: Literal["ids", "last", "positives"]
    ties: TieRule
    top_percent: Callable[[int], int]
    ks: tuple[int, ...] = (1, 5, 10)
    ap: Literal["step", "trapezoid"] | None = None
    ap_of_answered: bool = False
    drop_distractors: bool = False
    hit: bool = False
    within_m: float | None = None
    sdm: Decay | None = None
    sdm_rate_per_m: float = 0.0
    dis: tuple[int, ...] = ()
    ma_m: tuple[int, ...] = ()
    distance: Distance = plane_m
    query_needs: tuple[str, ...] = ()
    gallery_needs: tuple[str, ...] = ()

    @property
    def sorts(self) -> bool:
        """Whether the script ranks by sorting."""
        return self.ties == "later"


def _rounded(gallery: int) -> int:
    # the script reads its curve at index round(0.01 N), counted from 0, with Python's round (half to even)
    return round(gallery * 0.01) + 1


def _hundredth(gallery: int) -> int:
    return gallery // 100  # none at all below a hundred images


_UNIVERSITY = Protocol(
    "university1652",
    "evaluate_gpu.py of University1652-Baseline: distractors kept, trapezoid AP, queries without a positive score 0, "
    "R@1% looks at round(0.01 N) + 1 images.",
    "ids",
    "later",
    _rounded,
    ap="trapezoid",
)
_CVUSA = Protocol(
    "cvusa",
    "Sample4Geo's evaluation of CVUSA and CVACT: the rank is how many score strictly higher, so that ties and NaN favour the query; "
    "R@1% looks at N // 100 images.",
    "last",
    "for",
    _hundredth,
)
OWN = "own"
"""Name of the protocol of anybody's own images: no script to compare with, so that only the strict side is meant."""
_OWN = Protocol(
    OWN,
    "Anybody's own images, right by lists of positives; no published script, so the strict side alone counts.",
    "positives",
    "against",
    _hundredth,
    ap="step",
    query_needs=("positives",),
)
_ALL = (
    _UNIVERSITY,
    replace(
        _UNIVERSITY,
        name="university1652-sample4geo",
        about="Sample4Geo's evaluation of University-1652 and its lineage's of SUES-200 and DenseUAV: as university1652, but gallery "
        "images of places that no query shows are taken out.",
        drop_distractors=True,
    ),
    replace(
        _UNIVERSITY,
        name="sues200",
        about="test_and_evaluate.py of SUES-200-Benchmark: as university1652, the 120 training places of the gallery kept as distractors.",
    ),
    replace(
        _UNIVERSITY,
        name="denseuav",
        about="evaluate_gpu.py and evaluateDistance.py of DenseUAV: as university1652; SDM@K of distances in degrees, in float32, "
        "exp(-5000 d); MA@K: the first image is nearer than K metres on a sphere of 6,378,137 m.",
        sdm=Decay((1, 3, 5, 10), flat_degrees, 5000.0),
        sdm_rate_per_m=5000.0 / METRES_PER_DEGREE,
        ma_m=tuple(range(1, 101)),
        distance=sphere_m,
        query_needs=("lonlat",),
        gallery_needs=("lonlat",),
    ),
    Protocol(
        "gtauav",
        "evaluate/gta.py of GTA-UAV: AP as scikit-learn has it, over the queries that have a positive; R@1% looks at round(0.01 N) + 1 "
        "images; SDM@K of metres, exp(-0.001 d); Dis@K in metres; semi-positives are wrong.",
        "positives",
        "later",
        _rounded,
        ap="step",
        ap_of_answered=True,
        sdm=Decay((1, 3, 5), plane_m, 0.001),
        sdm_rate_per_m=0.001,
        dis=(1, 3, 5),
        query_needs=("xy_m", "positives"),
        gallery_needs=("xy_m",),
    ),
    _CVUSA,
    replace(_CVUSA, name="cvact"),
    replace(
        _CVUSA,
        name="cvact-test",
        about=_CVUSA.about + " R@K<5m: RecallGeo.m of the CVACT authors, any of the first K lies within 5 m in UTM (it sorts).",
        within_m=5.0,
        query_needs=("xy_m",),
        gallery_needs=("xy_m",),
    ),
    replace(
        _CVUSA,
        name="vigor",
        about="Sample4Geo's evaluation of VIGOR: as cvusa (VIGOR's own train_SAFA.py differs in R@1%, int(0.01 N) + 1 images); "
        "hit: nothing but the three semi-positives scores higher than the true tile.",
        hit=True,
        query_needs=("semi_positives",),
    ),
)
PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _ALL}
"""The published ones."""


def find_protocol(name: str) -> Protocol:
    """A protocol by its name.

    Raises:
        InputError: where there is none of that name.
    """
    if name == OWN:
        return _OWN
    if name not in PROTOCOLS:
        raise InputError(f"there is no protocol {name!r}", where="protocol", mend=f"use one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
