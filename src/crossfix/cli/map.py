"""`crossfix map`: make overhead imagery searchable, and show what is in an index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(no_args_is_help=True, help="Build an index of overhead imagery, show what is in one.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only.")]

# The rooms below import rasterio and torch, which takes seconds: each command imports what it needs, so that --help answers at once.


@app.command(
    "build",
    epilog="Examples: crossfix map build ortho.tif -o brighton.cfx | "
    "crossfix map build north.tif south.tif -o area.cfx --side-m 100 --side-m 200 --overlap 0.6",
)
def build(
    rasters: Annotated[
        list[Path],
        typer.Argument(
            metavar="RASTER",
            help="Georeferenced rasters, one map together, the first on top: GeoTIFF, MBTiles, JPEG or PNG with world file and .prj.",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Index folder to write, such as brighton.cfx.")],
    model: Annotated[str, typer.Option(help="A model's name, or a model folder.")] = "gengeo-tiny",
    side_m: Annotated[
        list[float] | None,
        typer.Option(help="Side of the chips in metres, once for each; default: a ladder from 40 to 800 m that suits the map."),
    ] = None,
    overlap: Annotated[float, typer.Option(help="Share of a side by which neighbouring chips overlap, 0 to 0.9.")] = 0.5,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an index of another map, model or plan.")] = False,
    as_json: AsJson = False,
) -> None:
    """Cut rasters into chips and describe them, so that photos can be located on them.

    A build that was stopped goes on where it stopped.
    """
    from crossfix.cli.progress import bar
    from crossfix.index.build import build_index
    from crossfix.maps.plan import TilingPlan
    from crossfix.maps.raster import GeoMap
    from crossfix.models.registry import load

    with GeoMap.open(rasters) as geomap:
        plan = TilingPlan(tuple(side_m), overlap) if side_m else TilingPlan.default(geomap, overlap)
        describer = load(model)
        with bar("Indexing the map") as report:
            index = build_index(geomap, describer, out, plan, progress=report, overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps(_summary(index.path, index.manifest), indent=2))
        return
    typer.echo(f"{out}: {len(index)} chips of {_sides(index.manifest)} m, model {index.model_id}; use it with --map {out}")


@app.command("info", epilog="Example: crossfix map info brighton.cfx --json")
def info(
    path: Annotated[Path, typer.Argument(metavar="INDEX", help="An index folder.")],
    as_json: AsJson = False,
) -> None:
    """Show what an index holds, after comparing all of it with its checksums."""
    from crossfix.index.store import MapIndex

    index = MapIndex.open(path)
    index.descriptors.check()
    summary = _summary(path, index.manifest)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
        return
    west, south, east, north = summary["bounds_lonlat"]
    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")  # long paths whole, on as many lines as they need
    table.add_row("chips", f"{summary['chips']} of {_sides(index.manifest)} m, overlap {summary['overlap']:g}")
    table.add_row("model", f"{summary['model']} ({summary['model_sha256'][:12]}), {summary['dim']} numbers a chip")
    table.add_row("area", f"{summary['area_km2']:g} km², lat {south:.6f} to {north:.6f}, lon {west:.6f} to {east:.6f}")
    for raster in summary["rasters"]:
        table.add_row("raster", raster)
    table.add_row("size", f"{summary['size_mb']:g} MB, whole")
    Console().print(table)


def _summary(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    return {
        "index": str(path),
        "chips": manifest["count"],
        "sides_m": manifest["plan"]["sides_m"],
        "overlap": manifest["plan"]["overlap"],
        "model": manifest["model"]["id"],
        "model_sha256": manifest["model"]["sha256"],
        "dim": manifest["model"]["dim"],
        "bounds_lonlat": manifest["bounds_lonlat"],
        "area_km2": round(manifest["area_m2"] / 1e6, 4),
        "rasters": [raster["path"] for raster in manifest["rasters"]],
        "size_mb": round(sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6, 2),
    }


def _sides(manifest: dict[str, Any]) -> str:
    return ", ".join(f"{side_m:g}" for side_m in manifest["plan"]["sides_m"])
