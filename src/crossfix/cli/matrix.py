"""`crossfix matrix`: the transfer table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.table import Table

from crossfix.cli.output import show
from crossfix.cli.progress import bar
from crossfix.errors import InputError

app = typer.Typer(help="Test models trained on each of several data sets on all of them.")


@app.command(epilog="Example: crossfix matrix --model runs/a --model runs/b --data cvusa:A --data cvact:B")
def matrix(
    model: Annotated[list[str], typer.Option(metavar="NAME", help="A model's name or folder, or a baseline; repeat it.")],
    data: Annotated[
        list[str],
        typer.Option(metavar="NAME:ROOT", help="A data set and its folder; repeat it, in the order of the models trained on them."),
    ],
    split: Annotated[
        list[str] | None, typer.Option(help="Split of the data sets: one for all, or one for each; if none, their first one to test on.")
    ] = None,
    direction: Annotated[str | None, typer.Option(help="d2s, s2d, g2s or s2g; each data set's first if none is given.")] = None,
    metric: Annotated[str, typer.Option(help="What the printed table shows; results always hold all.")] = "R@1",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Keep every cell's results here; a killed run goes on.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON only.")] = False,
) -> None:
    """Print strict scores, train set by test set. With as many models as data sets, each model counts as trained on its own.

    A cell then also says which share it is of the score of the data set's own model.
    """
    from crossfix.data.registry import open_dataset, parse
    from crossfix.evaluate.matrix import Column, transfer_matrix
    from crossfix.evaluate.measurable import open_measurable
    from crossfix.evaluate.task import first_test_split

    splits = split or []
    if len(splits) not in (0, 1, len(data)):
        raise InputError(f"{len(splits)} splits for {len(data)} data sets", where="--split", mend="give one, or one for each")
    columns = []
    for number, text in enumerate(data):
        name, root = parse(text)
        dataset = open_dataset(name, root)
        chosen = splits[number if len(splits) > 1 else 0] if splits else first_test_split(dataset)
        columns.append(Column(f"{name} {chosen}", dataset, chosen, cast("Any", direction or dataset.directions[0])))
    with bar("Measuring", quiet=as_json) as progress:
        results = transfer_matrix([open_measurable(name) for name in model], columns, needed=metric, out=out, seed=seed, progress=progress)
    if as_json:
        typer.echo(json.dumps(results, indent=1))
    else:
        show(_table(results, metric))


def _table(results: dict[str, Any], metric: str) -> Table:
    table = Table(
        "model",
        *results["columns"],
        title=f"{metric}, strict, with 95 % intervals" + ("; share of the set's own model" * results["paired"]),
    )
    for row, line in zip(results["rows"], results["cells"], strict=True):
        table.add_row(row["name"], *(_cell(cell, metric) for cell in line))
    return table


def _cell(cell: dict[str, Any], metric: str) -> str:
    unit, factor = ("m", 1.0) if metric.startswith("Dis@") else ("%", 100.0)
    value = cell["strict"].get(metric)
    if value is None:
        return "-"
    low, high = cell["intervals95"][metric]
    share = "" if cell.get("share") is None or metric != "R@1" else f"; {100 * cell['share']:.0f} %"
    return f"{factor * value:.1f} {unit} [{factor * low:.1f}, {factor * high:.1f}]{share}"
