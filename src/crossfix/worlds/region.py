"""Regions: styles of settlement and land, as dials.

A region is a set of ranges; a world draws from them. Training regions and unseen regions differ in the dials stated here: street pattern,
plots, footprints, roofs, heights, palettes, vegetation, water, fields and relief.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crossfix.errors import InputError

Range = tuple[float, float]
Rgb = tuple[float, float, float]

#: Linear reflectances of roofs by material. Palettes are shared between regions on purpose: colour alone must not tell a place.
ROOFS: dict[str, tuple[Rgb, ...]] = {
    "tile": ((0.34, 0.15, 0.10), (0.40, 0.20, 0.13), (0.27, 0.12, 0.09), (0.45, 0.27, 0.18), (0.24, 0.15, 0.12)),
    "shingle": ((0.16, 0.15, 0.15), (0.22, 0.20, 0.18), (0.28, 0.24, 0.20), (0.12, 0.12, 0.13), (0.24, 0.17, 0.14), (0.31, 0.30, 0.29)),
    "membrane": ((0.55, 0.55, 0.53), (0.36, 0.36, 0.36), (0.70, 0.70, 0.68), (0.22, 0.22, 0.23), (0.45, 0.42, 0.38)),
    "metal": ((0.42, 0.45, 0.48), (0.25, 0.33, 0.42), (0.38, 0.22, 0.15), (0.50, 0.50, 0.50), (0.26, 0.36, 0.30), (0.60, 0.58, 0.55)),
    "earth": ((0.48, 0.40, 0.31), (0.56, 0.49, 0.40), (0.42, 0.34, 0.27), (0.62, 0.57, 0.50), (0.68, 0.66, 0.62)),
    "rust": ((0.36, 0.24, 0.17), (0.30, 0.19, 0.13), (0.45, 0.42, 0.38), (0.22, 0.32, 0.45), (0.50, 0.35, 0.25), (0.55, 0.55, 0.54)),
}
WALLS: tuple[Rgb, ...] = (
    (0.60, 0.57, 0.50),
    (0.50, 0.34, 0.27),
    (0.70, 0.68, 0.64),
    (0.45, 0.44, 0.42),
    (0.62, 0.52, 0.38),
    (0.38, 0.28, 0.24),
)


@dataclass(frozen=True)
class Build:
    """One kind of building, set along streets or within blocks.

    Attributes:
        weight: how often, relative to the region's other kinds.
        front_m: width along the street.
        depth_m: depth away from it.
        setback_m: from the street's edge to the front.
        gap_m: to the next building.
        floors: number of floors, 3 m each.
        roofs: (kind, weight): gable, hip, flat, shed.
        palette: names in :data:`ROOFS`.
        shapes: weights of rectangle, L, U and court footprints.
    """

    weight: float
    front_m: Range
    depth_m: Range
    setback_m: Range
    gap_m: Range
    floors: Range
    roofs: tuple[tuple[Literal["gable", "hip", "flat", "shed"], float], ...]
    palette: tuple[str, ...]
    shapes: tuple[float, float, float, float] = (0.6, 0.3, 0.1, 0.0)


@dataclass(frozen=True)
class Region:
    """A style of settlement and land.

    Attributes:
        name: its name.
        unseen: never used in training.
        about: what it looks like, in a line.
        pattern: street network: a warped grid or an organic (Voronoi) one.
        block_m: spacing of streets.
        bend: how far streets bend, in blocks.
        thin: share of street segments left out.
        street_m: widths of minor and major streets.
        surface: what minor streets are made of.
        sidewalk_m: width of the pavement.
        builds: kinds of buildings.
        density: share of the plots that are built up, in settlements.
        settled: share of the land that is settlement (1: everywhere).
        yard: ground around buildings.
        uses: weights of the uses of a block that is not built up.
        wild: ground of unused land.
        street_tree_m: spacing of street trees, 0: none.
        garden_trees: trees a hectare in yards.
        forest_trees: trees a hectare in woods.
        conifers: share of conifers.
        palms: share of palms.
        hedges: share of field edges with a hedge.
        river_m: width of the river where there is one.
        river: share of worlds with a river.
        relief_m: height of the relief, half its range.
        relief_cell_m: size of hills.
        field_rows_m: spacing of crop rows or furrows.
        green: how green vegetation is, 0 (straw) to 1.
        soil: reflectance of bare ground.
        cars: parked cars a 100 m of street.
        pools: share of yards with a pool.
        walled: share of houses within a walled yard.
        plots: weights of lawn, meadow, paving and soil as the ground of single plots.
    """

    name: str
    about: str
    pattern: Literal["grid", "organic"]
    block_m: Range
    builds: tuple[Build, ...]
    unseen: bool = False
    bend: float = 0.1
    thin: float = 0.1
    street_m: tuple[float, float] = (7.0, 12.0)
    surface: Literal["asphalt", "dirt", "concrete"] = "asphalt"
    sidewalk_m: float = 1.8
    density: float = 0.9
    settled: float = 1.0
    yard: Literal["lawn", "soil", "paving", "wild"] = "lawn"
    uses: tuple[tuple[Literal["built", "park", "field", "forest", "parking", "wild", "pitch"], float], ...] = (("built", 1.0),)
    wild: Literal["meadow", "soil"] = "meadow"
    street_tree_m: float = 0.0
    garden_trees: float = 10.0
    forest_trees: float = 350.0
    conifers: float = 0.2
    palms: float = 0.0
    hedges: float = 0.0
    river: float = 0.1
    river_m: Range = (15.0, 45.0)
    relief_m: float = 2.0
    relief_cell_m: float = 400.0
    field_rows_m: Range = (1.5, 6.0)
    green: float = 0.7
    soil: Rgb = (0.30, 0.24, 0.17)
    cars: float = 4.0
    pools: float = 0.0
    walled: float = 0.0
    plots: tuple[float, float, float, float] = (0.6, 0.25, 0.1, 0.05)


_HOUSE = (("gable", 0.55), ("hip", 0.45))
_FLAT = (("flat", 1.0),)

_REGIONS = (
    Region(
        name="suburb",
        about="detached houses with lawns on bending streets, pools, street trees",
        pattern="grid",
        block_m=(75.0, 130.0),
        bend=0.55,
        thin=0.22,
        builds=(
            Build(0.85, (11, 18), (9, 14), (6, 11), (4, 9), (1, 2), _HOUSE, ("shingle", "tile"), (0.45, 0.4, 0.15, 0)),
            Build(0.15, (18, 34), (12, 18), (7, 12), (8, 14), (2, 3), (("flat", 0.6), ("gable", 0.4)), ("membrane", "shingle")),
        ),
        uses=(("built", 0.84), ("park", 0.07), ("wild", 0.04), ("parking", 0.03), ("pitch", 0.02)),
        street_tree_m=18.0,
        garden_trees=22.0,
        pools=0.15,
        cars=5.0,
    ),
    Region(
        name="town",
        about="old town of closed blocks with courtyards and tiled roofs",
        pattern="organic",
        block_m=(65.0, 105.0),
        thin=0.06,
        street_m=(8.0, 13.0),
        sidewalk_m=2.2,
        builds=(
            Build(
                0.8, (11, 24), (10, 14), (0.5, 1.5), (0.0, 0.3), (2, 5), (("gable", 0.8), ("hip", 0.2)), ("tile",), (0.85, 0.12, 0.03, 0)
            ),
            Build(
                0.2,
                (18, 32),
                (13, 19),
                (0.5, 2),
                (0.0, 2),
                (3, 5),
                (("flat", 0.5), ("hip", 0.5)),
                ("membrane", "tile"),
                (0.4, 0.2, 0.2, 0.2),
            ),
        ),
        yard="paving",
        uses=(("built", 0.87), ("park", 0.08), ("parking", 0.05)),
        street_tree_m=0.0,
        garden_trees=16.0,
        conifers=0.1,
        cars=9.0,
        relief_m=4.0,
        river=0.3,
        plots=(0.35, 0.1, 0.5, 0.05),
    ),
    Region(
        name="downtown",
        about="straight grid of wide streets with tall flat-roofed blocks",
        pattern="grid",
        block_m=(85.0, 125.0),
        bend=0.02,
        thin=0.0,
        street_m=(13.0, 21.0),
        sidewalk_m=3.5,
        builds=(
            Build(0.6, (20, 45), (18, 34), (0.5, 3), (0.5, 5), (3, 12), _FLAT, ("membrane",), (0.5, 0.2, 0.2, 0.1)),
            Build(
                0.4,
                (14, 26),
                (14, 24),
                (0.5, 2),
                (0.0, 1),
                (2, 5),
                (("flat", 0.9), ("gable", 0.1)),
                ("membrane", "shingle"),
                (0.7, 0.3, 0, 0),
            ),
        ),
        yard="paving",
        uses=(("built", 0.8), ("parking", 0.14), ("park", 0.06)),
        street_tree_m=14.0,
        garden_trees=2.0,
        conifers=0.0,
        cars=11.0,
        relief_m=0.8,
        river=0.1,
        plots=(0.2, 0.05, 0.7, 0.05),
    ),
    Region(
        name="farmland",
        about="fields with rows and hedges, hamlets and farmsteads on few roads",
        pattern="organic",
        block_m=(150.0, 260.0),
        thin=0.45,
        street_m=(5.0, 7.5),
        sidewalk_m=0.0,
        builds=(
            Build(0.6, (10, 18), (8, 12), (5, 14), (8, 30), (1, 2), _HOUSE, ("tile", "shingle"), (0.6, 0.35, 0.05, 0)),
            Build(
                0.4, (20, 48), (12, 20), (12, 30), (10, 40), (1, 2), (("gable", 1.0),), ("metal", "shingle", "tile"), (0.8, 0.15, 0.05, 0)
            ),
        ),
        density=0.75,
        settled=0.3,
        uses=(("field", 0.78), ("wild", 0.08), ("forest", 0.14)),
        garden_trees=14.0,
        hedges=0.4,
        cars=0.8,
        relief_m=6.0,
        river=0.3,
        river_m=(4.0, 12.0),
        soil=(0.27, 0.20, 0.14),
    ),
    Region(
        name="industrial",
        about="large flat halls, yards and parking on a coarse grid",
        pattern="grid",
        block_m=(140.0, 230.0),
        bend=0.06,
        thin=0.15,
        street_m=(9.0, 14.0),
        sidewalk_m=1.0,
        builds=(
            Build(
                0.65,
                (40, 95),
                (30, 60),
                (8, 22),
                (10, 28),
                (2, 4),
                (("flat", 0.8), ("gable", 0.2)),
                ("membrane", "metal"),
                (0.6, 0.3, 0.1, 0),
            ),
            Build(
                0.35, (15, 30), (12, 22), (6, 15), (8, 25), (1, 3), (("flat", 0.8), ("shed", 0.2)), ("membrane", "metal"), (0.7, 0.3, 0, 0)
            ),
        ),
        yard="paving",
        uses=(("built", 0.72), ("parking", 0.15), ("wild", 0.13)),
        street_tree_m=26.0,
        garden_trees=2.5,
        cars=3.0,
        relief_m=0.8,
        river=0.15,
        river_m=(20.0, 60.0),
        plots=(0.1, 0.15, 0.65, 0.1),
    ),
    Region(
        name="valley",
        about="woods and meadows on hills, loose houses along winding roads, a stream",
        pattern="organic",
        block_m=(170.0, 300.0),
        thin=0.4,
        street_m=(5.0, 7.0),
        sidewalk_m=0.0,
        builds=(
            Build(
                1.0,
                (9, 16),
                (8, 12),
                (5, 16),
                (10, 40),
                (1, 3),
                (("gable", 0.85), ("hip", 0.15)),
                ("shingle", "metal", "tile"),
                (0.7, 0.28, 0.02, 0),
            ),
        ),
        density=0.8,
        settled=0.4,
        uses=(("forest", 0.5), ("wild", 0.3), ("field", 0.2)),
        garden_trees=28.0,
        conifers=0.6,
        hedges=0.15,
        cars=0.6,
        relief_m=14.0,
        relief_cell_m=320.0,
        river=0.6,
        river_m=(4.0, 14.0),
        green=0.85,
    ),
    Region(
        name="desert",
        about="flat-roofed walled houses on narrow lanes in bare sandy ground, few palms",
        unseen=True,
        pattern="organic",
        block_m=(42.0, 70.0),
        thin=0.2,
        street_m=(4.0, 10.0),
        surface="dirt",
        sidewalk_m=0.0,
        builds=(
            Build(0.75, (9, 17), (9, 15), (0.5, 3), (0.2, 4), (1, 3), _FLAT, ("earth",), (0.35, 0.3, 0.15, 0.2)),
            Build(0.25, (16, 28), (12, 20), (1, 5), (2, 8), (1, 4), _FLAT, ("earth", "membrane"), (0.5, 0.2, 0.1, 0.2)),
        ),
        density=0.8,
        settled=0.72,
        yard="soil",
        uses=(("built", 0.84), ("wild", 0.13), ("field", 0.03)),
        wild="soil",
        garden_trees=4.0,
        forest_trees=60.0,
        conifers=0.0,
        palms=0.7,
        cars=2.5,
        relief_m=3.5,
        river=0.0,
        green=0.3,
        soil=(0.46, 0.37, 0.26),
        walled=0.6,
        plots=(0.05, 0.05, 0.3, 0.6),
    ),
    Region(
        name="delta",
        about="dense low houses with metal roofs along canals, small wet fields, palms",
        unseen=True,
        pattern="organic",
        block_m=(80.0, 135.0),
        thin=0.3,
        street_m=(3.5, 8.0),
        surface="dirt",
        sidewalk_m=0.0,
        builds=(
            Build(
                0.85,
                (5, 11),
                (7, 15),
                (0.3, 3),
                (0.2, 2.5),
                (1, 2),
                (("gable", 0.5), ("shed", 0.35), ("hip", 0.15)),
                ("rust", "metal"),
                (0.8, 0.2, 0, 0),
            ),
            Build(
                0.15, (14, 30), (10, 18), (1, 6), (2, 9), (1, 3), (("gable", 0.6), ("flat", 0.4)), ("rust", "membrane"), (0.7, 0.3, 0, 0)
            ),
        ),
        density=0.95,
        settled=0.5,
        yard="wild",
        uses=(("built", 0.45), ("field", 0.42), ("wild", 0.13)),
        garden_trees=40.0,
        palms=0.6,
        conifers=0.0,
        cars=1.2,
        relief_m=0.5,
        river=0.9,
        river_m=(9.0, 30.0),
        field_rows_m=(6.0, 14.0),
        green=0.95,
        soil=(0.34, 0.20, 0.13),
        plots=(0.15, 0.45, 0.1, 0.3),
    ),
)

#: All regions by name, training regions first.
REGIONS: dict[str, Region] = {region.name: region for region in _REGIONS}


def region_named(name: str) -> Region:
    """The region of this name.

    Raises:
        InputError: there is none.
    """
    if name not in REGIONS:
        raise InputError(f"there is no region {name!r}", mend=f"choose one of {', '.join(REGIONS)}")
    return REGIONS[name]
