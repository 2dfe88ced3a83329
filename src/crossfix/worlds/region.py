"""What a region is: a style of settlement and land, as dials; a world draws from its ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Range = tuple[float, float]
Roofs = tuple[tuple[Literal["gable", "hip", "flat", "shed"], float], ...]
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
    roofs: Roofs
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
