"""The regions there are.

Training regions and unseen regions differ in the dials stated here: street pattern, plots, footprints, roofs, heights, palettes,
vegetation, water, fields and relief.
"""

from __future__ import annotations

from crossfix.errors import InputError
from crossfix.worlds.region import Build, Region, Roofs

_HOUSE: Roofs = (("gable", 0.55), ("hip", 0.45))
_FLAT: Roofs = (("flat", 1.0),)

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
        name="terraces",
        about="rows of narrow houses wall to wall along bending streets, long gardens behind, an allotment or a park between",
        unseen=True,
        pattern="grid",
        block_m=(60.0, 95.0),
        bend=0.35,
        thin=0.1,
        street_m=(7.0, 12.0),
        builds=(
            Build(
                0.85, (5.5, 8), (9, 12), (2, 5), (0.0, 0.2), (2, 3), (("gable", 0.9), ("flat", 0.1)), ("shingle", "tile"), (0.6, 0.4, 0, 0)
            ),
            Build(0.15, (14, 26), (11, 16), (2, 7), (3, 9), (2, 4), (("hip", 0.6), ("flat", 0.4)), ("membrane", "shingle")),
        ),
        density=0.97,
        uses=(("built", 0.84), ("park", 0.09), ("pitch", 0.04), ("parking", 0.03)),
        street_tree_m=22.0,
        garden_trees=14.0,
        hedges=0.2,
        cars=8.0,
        relief_m=3.0,
        river=0.15,
        plots=(0.55, 0.25, 0.12, 0.08),
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
