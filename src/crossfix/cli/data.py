"""`crossfix data`: which benchmarks are known, what they are, and whether a copy on disk is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from crossfix.cli.output import show
from crossfix.cli.progress import bar

app = typer.Typer(no_args_is_help=True, help="List benchmarks, show their cards, check a copy on disk.")

AsJson = Annotated[bool, typer.Option("--json", help="Print only JSON.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the data set, as `crossfix data list` shows it.")]


@app.command("list", epilog="Example: crossfix data list")
def list_them(as_json: AsJson = False) -> None:
    """List the data sets that crossfix reads, with their splits and directions."""
    from crossfix.data.registry import DATASETS, card

    rows = [
        {"name": name, "about": card(name).splitlines()[0], "splits": list(kind.splits), "directions": list(kind.directions)}
        for name, kind in ((name, DATASETS[name]) for name in DATASETS)
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("name", "what", "splits", "directions")
    for row in rows:
        table.add_row(str(row["name"]), str(row["about"]), ", ".join(row["splits"]), ", ".join(row["directions"]))
    show(table)


@app.command("card", epilog="Example: crossfix data card university1652")
def show_card(name: Name) -> None:
    """Show a data set's card: source, counts, licence, ground resolution, how to obtain it, known faults."""
    from crossfix.data.registry import card

    typer.echo(card(name))


@app.command("check", epilog="Example: crossfix data check university1652 /data/University-1652 --json")
def check_copy(
    name: Name,
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder of the copy.")],
    decode: Annotated[
        bool, typer.Option("--decode/--no-decode", help="Decode every image and compare bytes, or look at names only.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Check a copy of a data set: layout, counts, split files, unreadable and duplicate images.

    Lists all it finds, with exit code 2 if there is anything.
    """
    from crossfix.data.check import check
    from crossfix.data.registry import open_dataset

    dataset = open_dataset(name, root)
    with bar("Checking", quiet=as_json) as progress:
        report = check(dataset, progress=progress, decode=decode)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        _print(report.to_dict())
    if not report.ok:
        raise typer.Exit(2)


@app.command("chips", epilog="Example: crossfix data chips /data/UAV-VisLoc --flight 03")
def cut_chips(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder of the copy of UAV-VisLoc.")],
    flight: Annotated[list[str] | None, typer.Option("--flight", help="A flight, 01 to 11; repeat it for several, all if none.")] = None,
    side_px: Annotated[int, typer.Option("--side-px", help="Side of a chip, in rows of the map.")] = 512,
    overlap: Annotated[float, typer.Option(help="Of neighbours, as a part of the side, 0 to less than 1.")] = 0.5,
    as_json: AsJson = False,
) -> None:
    """Cut the maps of UAV-VisLoc into the chips that its tasks search. Goes on where it was killed."""
    from crossfix.data.uavvisloc import UavVisLoc

    dataset = UavVisLoc(root)
    with bar("Cutting chips", quiet=as_json) as progress:
        chips = dataset.cut_chips(side_px=side_px, overlap=overlap, numbers=flight, progress=progress)
    if as_json:
        typer.echo(
            json.dumps({"root": str(root), "chips": len(chips), "folder": str(dataset.chips), "side_px": side_px, "overlap": overlap})
        )
    else:
        typer.echo(f"{len(chips):,} chips in {dataset.chips}")


def _print(report: dict[str, Any]) -> None:
    console = Console()
    counts = Table("what", "published", "here", title=f"{report['dataset']} in {report['root']}")
    for count in report["counts"]:
        counts.add_row(count["what"], f"{count['official']:,}", f"{count['found']:,}")
    if report["counts"]:
        show(counts)
    for finding in report["findings"]:
        mend = f"; {finding['mend']}" if finding["mend"] else ""
        console.print(f"{finding['kind']}: {finding['where']}: {finding['what']}{mend}", markup=False, highlight=False, soft_wrap=True)
    looked = f"{report['images']:,} images decoded" if report["decoded"] else "images not decoded"
    console.print(f"{len(report['findings'])} findings, {looked}: {'all well' if report['ok'] else 'not as published'}")
