"""`crossfix map`: make overhead imagery searchable, and show what is in an index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from crossfix.cli.output import show
from crossfix.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Build an index of overhead imagery, show what is in one.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
_HEAD_PANEL = "A head fitted on the map, no training"

# The rooms below import rasterio and torch, which takes seconds: each command imports what it needs, so that --help answers at once.


@app.command(
    "build",
    epilog="Examples: crossfix map build ortho.tif -o brighton.cfx | "
    "crossfix map build north.tif south.tif -o area.cfx --side-m 100 --side-m 200 --overlap 0.6 | "
    "crossfix map build ortho.tif -o dino.cfx --model vit_base_patch14_dinov2 --head vlad --weights dinov2.safetensors",
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
    model: Annotated[str, typer.Option(help="A model's name, or a model folder; with --head also an encoder of timm.")] = "gengeo-tiny",
    side_m: Annotated[
        list[float] | None,
        typer.Option(help="Side of the chips in metres, once for each; default: a ladder from 40 to 800 m that suits the map."),
    ] = None,
    overlap: Annotated[float, typer.Option(help="Share of a side by which neighbouring chips overlap, 0 to 0.9.")] = 0.5,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an index of another map, model or plan.")] = False,
    head: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=_HEAD_PANEL, help="vlad: fit a vocabulary and whitening on this map's chips, behind the model's encoder."
        ),
    ] = None,
    clusters: Annotated[int | None, typer.Option(rich_help_panel=_HEAD_PANEL, min=1, help="Of the vocabulary; default: 32.")] = None,
    dim: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=_HEAD_PANEL,
            min=0,
            help="Numbers a chip after whitening, at most; 0: no whitening, as on maps of few chips; default: 512.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(rich_help_panel=_HEAD_PANEL, help="Safetensors file of the timm encoder; default: the hub's, or its cache's."),
    ] = None,
    px: Annotated[
        int | None, typer.Option(rich_help_panel=_HEAD_PANEL, min=1, help="Input side of the timm encoder; default: 224.")
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(rich_help_panel=_HEAD_PANEL, min=1, help="Pixels a token where a convolutional timm encoder is cut; default: 16."),
    ] = None,
    timm: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=_HEAD_PANEL,
            metavar="KEY=VALUE",
            help="Further settings of the timm encoder, each: mean=0.5, std=0.5, or what timm.create_model takes (pad_type=same).",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Cut rasters into chips and describe them, so that photos can be located on them.

    A build that was stopped goes on where it stopped. With --head the index carries its own model, and crossfix locate uses that.
    """
    from crossfix.cli.progress import bar
    from crossfix.index.build import build_index
    from crossfix.index.fit import fit_head, map_describer
    from crossfix.maps.plan import TilingPlan
    from crossfix.maps.raster import GeoMap
    from crossfix.models.registry import open_encoder

    given = {"--clusters": clusters, "--dim": dim, "--weights": weights, "--px": px, "--stride": stride, "--timm": timm}
    if head is None and (idle := [name for name, value in given.items() if value is not None]):
        raise InputError("is for a head that is fitted on the map", where=idle[0], mend="add --head vlad, or leave it out")
    if head not in (None, "vlad"):
        raise InputError(f"no head {head} can be fitted on a map", where="--head", mend="use vlad")
    with GeoMap.open(rasters) as geomap:
        plan = TilingPlan(tuple(side_m), overlap) if side_m else TilingPlan.default(geomap, overlap)
        if head is None:
            describer = map_describer(model)
        else:
            from crossfix.models.gengeo import VladConfig

            sizes = VladConfig(clusters=clusters or VladConfig.clusters, dim=VladConfig.dim if dim is None else dim or None)
            encoder = open_encoder(model, weights=weights, px=px, stride=stride, settings=_settings(timm or []))
            with bar("Fitting the head") as report:
                describer = fit_head(geomap, encoder, out, plan, head=sizes, progress=report, overwrite=overwrite)
        with bar("Indexing the map") as report:
            index = build_index(geomap, describer, out, plan, progress=report, overwrite=overwrite, carried=head is not None)
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
    if summary["carried_model"]:
        table.add_row("head", f"fitted on this map and carried by the index; see crossfix model info {path / summary['carried_model']}")
    table.add_row("area", f"{summary['area_km2']:g} km², lat {south:.6f} to {north:.6f}, lon {west:.6f} to {east:.6f}")
    for raster in summary["rasters"]:
        table.add_row("raster", raster)
    table.add_row("size", f"{summary['size_mb']:g} MB, whole")
    show(table)


def _summary(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    from crossfix.index.store import CARRIED, MODEL

    return {
        "index": str(path),
        "chips": manifest["count"],
        "sides_m": manifest["plan"]["sides_m"],
        "overlap": manifest["plan"]["overlap"],
        "model": manifest["model"]["id"],
        "model_sha256": manifest["model"]["sha256"],
        "dim": manifest["model"]["dim"],
        "carried_model": MODEL if manifest["model"].get(CARRIED) is True else None,
        "bounds_lonlat": manifest["bounds_lonlat"],
        "area_km2": round(manifest["area_m2"] / 1e6, 4),
        "rasters": [raster["path"] for raster in manifest["rasters"]],
        "size_mb": round(sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6, 2),
    }


def _settings(texts: list[str]) -> dict[str, Any]:
    """Settings from KEY=VALUE: values are JSON where they can be read as such (0.5, true, [0.5, 0.5, 0.5]), text otherwise."""
    settings: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise InputError(f"{text} is no setting", where="--timm", mend="give KEY=VALUE, such as pad_type=same")
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return settings


def _sides(manifest: dict[str, Any]) -> str:
    return ", ".join(f"{side_m:g}" for side_m in manifest["plan"]["sides_m"])
