"""`crossfix world`: maps and photos of procedural places."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossfix.cli.progress import bar

if TYPE_CHECKING:
    from crossfix.worlds import World

app = typer.Typer(no_args_is_help=True, help="Render maps and photos of procedural places, with exact truth.")


class Kind(StrEnum):
    """What takes the photos."""

    drone = "drone"
    ground = "ground"
    satellite = "satellite"


Seed = Annotated[int, typer.Option(help="Seed of the place: the same seed and size make the same place.")]
RegionName = Annotated[
    str, typer.Option("--region", help="Style of the place, such as suburb, town, downtown; a wrong name lists them all.")
]
Size = Annotated[float, typer.Option("--size-m", help="Side of the square in metres, 50 to 6000.")]
Lon = Annotated[float, typer.Option(help="Longitude of the place's centre, degrees.")]
Lat = Annotated[float, typer.Option(help="Latitude of the place's centre, degrees.")]
EpochSeed = Annotated[int, typer.Option("--epoch", help="Seed of the day: sun, season, haze, cars, what has been built or felled.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print only JSON.")]


@app.command("map", epilog="Example: crossfix world map -o map.tif --seed 7 --region suburb --size-m 1000")
def write_a_map(
    out: Annotated[Path, typer.Option("--out", "-o", help="The GeoTIFF to write.")],
    seed: Seed = 7,
    region: RegionName = "suburb",
    size_m: Size = 1000.0,
    gsd_m: Annotated[float, typer.Option("--gsd-m", help="Metres a pixel.")] = 0.5,
    epoch: EpochSeed = 0,
    lon: Lon = 8.0,
    lat: Lat = 47.0,
    as_json: AsJson = False,
) -> None:
    """Write a place's map as a GeoTIFF: a true orthophoto in its UTM zone.

    Maps and photos never share their day, even where their --epoch is the same number.
    """
    from crossfix.worlds import Epoch
    from crossfix.worlds.write import write_map

    world = make_world(region, seed, size_m, lon, lat)
    scene = world.scene(Epoch.draw(epoch, "map"))
    with bar("Rendering the map", quiet=as_json) as progress:
        write_map(world, scene, out, gsd_m=gsd_m, progress=progress)
    if as_json:
        typer.echo(
            json.dumps({"map": str(out), "region": region, "seed": seed, "size_m": size_m, "gsd_m": gsd_m, "epoch": scene.epoch.to_dict()})
        )
    else:
        typer.echo(f"{out}: {size_m:g} x {size_m:g} m of {region} {seed}, {gsd_m:g} m a pixel")


@app.command("photos", epilog="Example: crossfix world photos -o photos --seed 7 --region suburb --size-m 1000 --kind drone --count 40")
def write_some_photos(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")],
    kind: Annotated[Kind, typer.Option(help="What takes them.")] = Kind.drone,
    count: Annotated[int, typer.Option(help="How many.", min=1)] = 40,
    seed: Seed = 7,
    region: RegionName = "suburb",
    size_m: Size = 1000.0,
    epoch: EpochSeed = 0,
    photo_seed: Annotated[int, typer.Option("--photo-seed", help="Seed of where they are taken.")] = 0,
    width: Annotated[int, typer.Option(help="Pixels across.")] = 800,
    height: Annotated[int, typer.Option(help="Pixels down.")] = 600,
    lon: Lon = 8.0,
    lat: Lat = 47.0,
    as_json: AsJson = False,
) -> None:
    """Write photos of a place as JPEG files with a camera's metadata, and truth.csv beside them.

    In truth.csv, lat and lon are the camera; centre_lat and centre_lon the ground in the middle of the picture. What the photos say of
    themselves has the errors of real devices. Satellite images carry no metadata.
    """
    from crossfix.worlds import Epoch
    from crossfix.worlds.write import write_photos

    world = make_world(region, seed, size_m, lon, lat)
    scene = world.scene(Epoch.draw(epoch, "photo"))
    with bar(f"Taking {kind.value} photos", quiet=as_json) as progress:
        truth = write_photos(world, scene, out, kind=kind.value, count=count, seed=photo_seed, size=(width, height), progress=progress)
    if as_json:
        typer.echo(
            json.dumps({"folder": str(out), "truth": str(truth), "kind": kind.value, "count": count, "epoch": scene.epoch.to_dict()})
        )
    else:
        typer.echo(f"{out}: {count} {kind.value} photos of {region} {seed}, truth in {truth.name}")


def make_world(region: str, seed: int, size_m: float, lon: float, lat: float) -> World:
    """The world that both commands speak of."""
    from crossfix.worlds import World

    return World(region, seed, size_m, lon=lon, lat=lat)


@app.command("write", epilog="Example: crossfix world write university1652 sets/university --places 12 --scale 0.25")
def write_a_set(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The data set whose tree is written; a wrong name lists them all.")],
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="The folder to write.")],
    places: Annotated[int, typer.Option(help="Places of each split.")] = 24,
    seed: Seed = 7,
    region: Annotated[
        list[str] | None, typer.Option("--region", help="Style of the places; repeat it and worlds take them in turn.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, test or both.")] = "both",
    scale: Annotated[float, typer.Option(help="Size of the pictures as a fraction of the published one.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Write worlds in exactly a data set's tree: file names, lists, positions, distractors. Goes on where it was killed."""
    from crossfix.worlds.sets.plan import HALVES, SetPlan, write_set
    from crossfix.worlds.sets.registry import writer

    halves = HALVES if split == "both" else (split,)
    plan = SetPlan(places=places, seed=seed, regions=tuple(region or ["suburb"]), halves=halves, scale=scale)
    with bar("Rendering worlds", quiet=as_json) as progress:
        write_set(writer(name, root, plan), progress=progress)
    if as_json:
        typer.echo(json.dumps({"set": name, "root": str(root), "places": places, "seed": seed, "splits": list(halves), "scale": scale}))
    else:
        typer.echo(f"{name} with {places} places a split in {root}; check it with: crossfix data check {name} {root}")
