"""`crossfix evaluate`: measure a model on a folder of queries and gallery images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from crossfix.cli.progress import bar

app = typer.Typer(help="Measure a model on a folder of queries and gallery images.")


@app.command(epilog="Example: crossfix evaluate --model gengeo-tiny --data benchmark --json")
def evaluate(
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="Holds query/PLACE/*.jpg and gallery/PLACE/*.jpg.")],
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A model's name or folder, or a baseline: colour-histogram, rotated-hog.")
    ] = "gengeo-tiny",
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="DIR", help="Write results.json and its provenance here.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON only.")] = False,
) -> None:
    """Measure a model on a folder of queries and gallery images by place, with 95 % intervals over places."""
    # torch takes seconds to import: --help must not wait for it
    from crossfix.evaluate.benchmark import evaluate_folder
    from crossfix.evaluate.measurable import open_measurable

    measured = open_measurable(model)
    with bar("Describing") as describing:
        results = evaluate_folder(measured, data, out=out, seed=seed, progress=describing)
    if as_json:
        typer.echo(json.dumps(results, indent=2))
        return
    table = Table("metric", "value", "95 % interval", title=f"{results['model']['name']} on {data}")
    for name, score in results["metrics"].items():
        low, high = score["interval95"]
        table.add_row(name, f"{100 * score['value']:.1f} %", f"{100 * low:.1f} to {100 * high:.1f} %")
    Console().print(table)
    typer.echo(
        f"{results['queries']} queries of {results['places']} places in a gallery of {results['gallery']} images of "
        f"{results['gallery_places']} places; ties count against the query"
    )
