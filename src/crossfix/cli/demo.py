"""`crossfix demo`: the whole way once, on a procedural place."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from crossfix.cli.output import show
from crossfix.cli.progress import bar
from crossfix.cli.world import make_world
from crossfix.errors import DiskError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossfix.locate.fix import Failure, Fix
    from crossfix.locate.verdict import Verdict
    from crossfix.maps.raster import GeoMap

app = typer.Typer()

LON, LAT = 9.0, 48.5  # the middle of a UTM zone: the map's grid points to true north
SIZE_M, GSD_M = 1000.0, 0.5
MAP_EPOCH, PHOTO_EPOCH = 1, 2


@app.command(epilog="Example: crossfix demo -o demo")
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to; what an earlier demo left there is replaced.")] = Path(
        "demo"
    ),
    region: Annotated[str, typer.Option(help="Style of the place.")] = "suburb",
    seed: Annotated[int, typer.Option(help="Seed of the place and of the photos.")] = 7,
    count: Annotated[int, typer.Option(help="How many photos.", min=1)] = 40,
    model: Annotated[str, typer.Option(help="A model's name, or a model folder.")] = "gengeo-tiny",
    as_json: Annotated[bool, typer.Option("--json", help="Print only JSON.")] = False,
) -> None:
    """Show the whole way once: a map, an index, photos of another season, fixes, a report.

    Renders a square kilometre of a procedural place as a map, indexes it, takes drone photos of the place on another day (other sun,
    season and haze, cars moved, houses and trees new or gone), hides their position and locates them. The rest of what a drone writes
    into its photos (height, heading, pitch, focal length, with their errors) is kept.
    """
    start = time.monotonic()
    _make_folder(out)
    photos = _take(out, region, seed, count, quiet=as_json)
    results, geomap, made_from = _locate(out, photos, model, quiet=as_json)
    summary = _judge(out, results, photos, geomap, made_from | {"place": f"{region}, seed {seed}", "view": "drone, position hidden"})
    summary["seconds"] = round(time.monotonic() - start, 1)
    _save_json(out / "summary.json", summary)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        _show(summary, out)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(f"cannot make the folder ({error.strerror})", where=out) from error


def _take(out: Path, region: str, seed: int, count: int, *, quiet: bool) -> list[Path]:
    from crossfix.worlds import Epoch
    from crossfix.worlds.write import write_map, write_photos

    world = make_world(region, seed, SIZE_M, LON, LAT)
    with bar("Rendering the map", quiet=quiet) as report:
        write_map(world, world.scene(Epoch.draw(MAP_EPOCH, "map")), out / "map.tif", gsd_m=GSD_M, progress=report)
    with bar("Taking photos", quiet=quiet) as report:
        scene = world.scene(Epoch.draw(PHOTO_EPOCH, "photo"))
        truth = write_photos(world, scene, out / "photos", kind="drone", count=count, seed=seed, progress=report)
    names = [line.split(",", 1)[0] for line in truth.read_text(encoding="utf-8").splitlines()[1:]]
    return [truth.parent / name for name in names]


def _locate(out: Path, photos: Sequence[Path], model: str, *, quiet: bool) -> tuple[list[Fix | Failure], GeoMap, dict[str, str]]:
    from crossfix.geo.metadata import read_photo
    from crossfix.index.build import build_index
    from crossfix.index.fit import map_describer
    from crossfix.locate import output
    from crossfix.locate.locator import Locator
    from crossfix.maps.plan import TilingPlan
    from crossfix.maps.raster import GeoMap

    describer = map_describer(model)
    geomap = GeoMap.open([out / "map.tif"])
    with bar("Indexing the map", quiet=quiet) as report:
        index = build_index(geomap, describer, out / "map.cfx", TilingPlan.default(geomap), progress=report, overwrite=True)
    locator = Locator(index, describer)
    results: list[Fix | Failure] = []
    with bar("Locating", quiet=quiet) as report:
        for done, path in enumerate(photos, start=1):
            photo = read_photo(path)
            results.append(locator.locate(photo, photo.prior.without_position()))
            report(done, len(photos))
    output.write(output.render(results, "geojson"), out / "fixes.geojson")
    size = f"{SIZE_M:g} x {SIZE_M:g} m at {GSD_M:g} m a pixel, {len(index)} chips"
    return results, geomap, {"map": size, "model": describer.model_id}


def _judge(out: Path, results: Sequence[Fix | Failure], photos: Sequence[Path], geomap: GeoMap, facts: dict[str, str]) -> dict[str, Any]:
    from crossfix.locate.report import write_report
    from crossfix.locate.verdict import judge, read_truth, summarise

    truths = read_truth(out / "photos" / "truth.csv")
    verdicts: list[Verdict] = [judge(result.to_dict(), truths[result.photo]) for result in results]
    title = f"crossfix: where {len(photos)} drone photos were taken"
    write_report(out / "report.html", verdicts, {path.name: path for path in photos}, geomap, title=title, facts=facts)
    return summarise(verdicts) | facts


def _save_json(path: Path, summary: dict[str, Any]) -> None:
    from crossfix.locate import output

    output.write(json.dumps(summary, indent=2) + "\n", path)


def _show(summary: dict[str, Any], out: Path) -> None:
    total = summary["photos"]
    table = Table(title=f"{total} photos of another day, position hidden", title_justify="left")
    table.add_column("error of")
    for name in ("within 10 m", "within 25 m", "within 50 m", "median"):
        table.add_column(name, justify="right")
    for name, prefix in (("middle of the photo", ""), ("camera", "camera_")):
        median = summary[f"{prefix}median_error_m"]
        within = [f"{summary[f'{prefix}within_{step}_m']} of {total}" for step in (10, 25, 50)]
        table.add_row(name, *within, "-" if median is None else f"{median:.1f} m")
    show(table)
    console = Console()
    right, accepted = summary["accepted_right"], summary["accepted"]
    console.print(
        f"accepted {accepted} of {total}; of those right (within {summary['right_within_m']:g} m) {right}, wrong {accepted - right}"
    )
    console.print(f"{summary['seconds']:g} s in all; look at {out / 'report.html'}", soft_wrap=True)
