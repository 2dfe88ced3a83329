"""`crossfix locate`: photos and an indexed map to fixes."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from crossfix.cli.app import complain
from crossfix.cli.output import show
from crossfix.cli.progress import bar
from crossfix.errors import InputError, PhotoError
from crossfix.geo.geodesy import check_lonlat
from crossfix.geo.metadata import read_photo
from crossfix.geo.photo import Prior, Sourced

if TYPE_CHECKING:
    from crossfix.index.store import MapIndex
    from crossfix.locate.fix import Failure, Fix
    from crossfix.locate.locator import Locator

app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})

SOME_FAILED = 1
ALL_FAILED = 2


@app.command(epilog="Example: crossfix locate photos/*.JPG --map brighton.cfx -o fixes.geojson")
def locate(
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.", show_default=False)],
    map_: Annotated[Path, typer.Option("--map", help="Index made by `crossfix map build`.", show_default=False)],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="File for the fixes; its ending chooses the format.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="json, geojson or csv.")] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write report.html here: every photo beside the map at its fix.")
    ] = None,
    near: Annotated[str | None, typer.Option(help="Where the camera is believed to be: LAT,LON in degrees.")] = None,
    radius_m: Annotated[float | None, typer.Option("--radius-m", help="How far from there it may be.")] = None,
    ignore_gps: Annotated[bool, typer.Option("--ignore-gps", help="Hide the position that a photo carries.")] = False,
    height_m: Annotated[float | None, typer.Option("--height-m", help="Height above ground.")] = None,
    heading_deg: Annotated[float | None, typer.Option("--heading-deg", help="Clockwise from true north.")] = None,
    pitch_deg: Annotated[float | None, typer.Option("--pitch-deg", help="0 level, -90 straight down.")] = None,
    fov_deg: Annotated[float | None, typer.Option("--fov-deg", help="Horizontal field of view.")] = None,
    top: Annotated[int, typer.Option(help="Candidates to look at closely.")] = 10,
    matcher: Annotated[str, typer.Option(help="Local features: sift, or xfeat with its weights.")] = "sift",
    matcher_weights: Annotated[Path | None, typer.Option("--matcher-weights", help="Weights file of xfeat.")] = None,
    model: Annotated[str | None, typer.Option(help="The model the map was indexed with, if it is a folder and no name.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Tell where photos were taken.

    Exit code 0: all photos were worked on (accepted or not, the fix says which); 1: some could not be read or matched at all, the others
    were; 2: none could, or an option is wrong.
    """
    # These import torch and rasterio, which takes seconds: --help must answer at once.
    from crossfix.index.fit import describer_of
    from crossfix.index.store import MapIndex
    from crossfix.locate import output
    from crossfix.locate.fix import Failure
    from crossfix.locate.locator import Locator

    form_of_file = output.format_of(out, form)
    if radius_m is not None and near is None and ignore_gps:
        raise InputError("a radius needs a position", where="--radius-m", mend="give --near LAT,LON too, or leave out --ignore-gps")
    given = given_prior(near, radius_m, height_m, heading_deg, pitch_deg, fov_deg)
    paths = photo_paths(photos)
    index = MapIndex.open(map_)
    locator = Locator(index, describer_of(index, model), top=top, matcher=matcher, matcher_weights=matcher_weights)
    results: list[Fix | Failure] = []
    called = names(paths)
    with bar("Locating", quiet=as_json) as told:
        for done, (path, name) in enumerate(zip(paths, called, strict=True)):
            results.append(_one(locator, path, name, given, ignore_gps))
            told(done + 1, len(paths))
    if out is not None:
        output.write(output.render(results, form_of_file), out)
    if report is not None:
        _report(report, results, dict(zip(called, paths, strict=True)), index)
    if as_json:
        typer.echo(output.render(results, "json"), nl=False)
    elif out is None and form is not None:
        typer.echo(output.render(results, form_of_file), nl=False)
    else:
        _show(results, out)
    if report is not None and not as_json:
        typer.echo(f"Report: {report / 'report.html'}")
    failures = [result for result in results if isinstance(result, Failure)]
    for failure in failures:
        complain(PhotoError(failure.error))
    if failures:
        raise typer.Exit(ALL_FAILED if len(failures) == len(results) else SOME_FAILED)


def given_prior(
    near: str | None,
    radius_m: float | None,
    height_m: float | None,
    heading_deg: float | None,
    pitch_deg: float | None,
    fov_deg: float | None,
) -> Prior:
    """The prior that the options state.

    Raises:
        InputError: a value that makes no sense.
    """
    lon = lat = None
    if near is not None:
        try:
            lat, lon = (float(part) for part in near.split(","))
        except ValueError as error:
            raise InputError(
                f"'{near}' is not a position", where="--near", mend="give LAT,LON in degrees, such as 46.8425,-91.9940"
            ) from error
        check_lonlat(lon, lat, where="--near")
    if radius_m is not None and not 0 < radius_m < 2.1e7:
        raise InputError(f"a radius of {radius_m:g} m makes no sense", where="--radius-m", mend="give metres above 0")
    if heading_deg is not None and not -360 <= heading_deg <= 360:
        raise InputError(f"a heading of {heading_deg:g} degrees makes no sense", where="--heading-deg", mend="give 0 to 360")
    if pitch_deg is not None and not -90 <= pitch_deg <= 90:
        raise InputError(f"a pitch of {pitch_deg:g} degrees makes no sense", where="--pitch-deg", mend="give -90 (down) to 90")
    if height_m is not None and not 0.5 < height_m < 50_000:
        raise InputError(f"a height of {height_m:g} m makes no sense", where="--height-m", mend="give metres above ground")
    if fov_deg is not None and not 1 < fov_deg < 175:
        raise InputError(f"a field of view of {fov_deg:g} degrees makes no sense", where="--fov-deg", mend="give 1 to 175")
    return Prior(
        lon=_flag(lon, "--near"),
        lat=_flag(lat, "--near"),
        radius_m=_flag(radius_m, "--radius-m"),
        height_m=_flag(height_m, "--height-m"),
        heading_deg=_flag(None if heading_deg is None else heading_deg % 360, "--heading-deg"),
        pitch_deg=_flag(pitch_deg, "--pitch-deg"),
        fov_deg=_flag(fov_deg, "--fov-deg"),
    )


def photo_paths(given: list[Path]) -> list[Path]:
    """The photos named, folders opened (not their sub-folders), in the order given and by name within a folder.

    Raises:
        InputError: a folder without pictures. A photo that is missing is reported with the photos, not here.
    """
    endings = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".mpo"}
    paths: list[Path] = []
    for path in given:
        if not path.is_dir():
            paths.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in endings and not file.name.startswith("."))
        if not inside:
            raise InputError("the folder holds no pictures", where=path, mend="name photos or a folder of them")
        paths.extend(inside)
    return paths


def names(paths: list[Path]) -> list[str]:
    """What the results call the photos: the file's name, or the path as given where two have one name."""
    counts = Counter(path.name for path in paths)
    return [path.name if counts[path.name] == 1 else str(path) for path in paths]


def _flag(value: float | None, option: str) -> Sourced | None:
    return None if value is None else Sourced(value, f"flag:{option}")


def _one(locator: Locator, path: Path, name: str, given: Prior, ignore_gps: bool) -> Fix | Failure:
    from crossfix.locate.fix import Failure

    try:
        photo = replace(read_photo(path), name=name)
        hidden = ignore_gps or given.has_position
        return locator.locate(photo, (photo.prior.without_position() if hidden else photo.prior).merged(given))
    except (PhotoError, InputError) as error:
        return Failure(name, str(error))


def _report(folder: Path, results: list[Fix | Failure], photos: dict[str, Path], index: MapIndex) -> None:
    from crossfix.disk import disk
    from crossfix.locate.report import write_report
    from crossfix.locate.verdict import judge

    with disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
    verdicts = [judge(result.to_dict(), None) for result in results]
    title = f"crossfix: where {len(results)} photo{'s were' if len(results) > 1 else ' was'} taken"
    with index.geomap() as geomap:
        facts = {"map": ", ".join(path.name for path in geomap.paths), "model": index.model_id}
        write_report(folder / "report.html", verdicts, photos, geomap, title=title, facts=facts)


def _show(results: list[Fix | Failure], out: Path | None) -> None:
    from crossfix.locate.fix import Failure

    table = Table(title=None if out is None else f"written to {out}")
    table.add_column("photo", no_wrap=True)
    for title in ("camera lat, lon", "centre lat, lon", "centre, 95 %", "heading", "confidence", "accepted"):
        table.add_column(title, justify="left" if "lat" in title else "right", no_wrap=True)
    for fix in results:
        if isinstance(fix, Failure):
            table.add_row(fix.photo, "-", "-", "-", "-", "-", "failed")
            continue
        table.add_row(
            fix.photo,
            "unknown" if fix.lat is None or fix.lon is None else f"{fix.lat:.6f}, {fix.lon:.6f}",
            f"{fix.centre_lat:.6f}, {fix.centre_lon:.6f}",
            f"{fix.radius95_m:.1f} m",
            "-" if fix.heading_deg is None else f"{fix.heading_deg:.1f}°",
            f"{fix.confidence:.2f}",
            "yes" if fix.accepted else "no",
        )
    show(table)
    console = Console(file=sys.stdout)
    for fix in results:
        if not isinstance(fix, Failure) and fix.reason is not None:
            console.print(f"{fix.photo} is not accepted: {fix.reason}.", highlight=False, markup=False, soft_wrap=True)
