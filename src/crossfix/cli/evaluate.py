"""`crossfix evaluate`: measure a model on a benchmark, or on your own queries and gallery images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.table import Table

from crossfix.cli.progress import bar
from crossfix.cli.scores import chosen_sides, scores_table
from crossfix.errors import InputError

app = typer.Typer(help="Measure a model on a benchmark, or on your own queries and gallery images.")


@app.command(epilog="Example: crossfix evaluate --model gengeo-tiny --data university1652:ROOT --direction d2s --json")
def evaluate(
    data: Annotated[
        str,
        typer.Option(metavar="NAME:ROOT", help="A data set and its folder, or a folder with query/PLACE/*.jpg and gallery/PLACE/*.jpg."),
    ],
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A model's name or folder, or a baseline: colour-histogram, rotated-hog.")
    ] = "gengeo-tiny",
    split: Annotated[str | None, typer.Option(help="Split of the data set; its first test split if none is given.")] = None,
    direction: Annotated[str | None, typer.Option(help="d2s, s2d, g2s or s2g; the data set's first if none is given.")] = None,
    stress: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="Score under stress, too: weather, corruptions, occlusion, or names of dials."),
    ] = None,
    protocol: Annotated[str | None, typer.Option(metavar="SIDE", help="Show paper or strict alone; results always hold both.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="DIR", help="Write results.json and its provenance here.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON only.")] = False,
) -> None:
    """Measure a model as a benchmark's authors do (paper), and with their quirks taken out (strict), with 95 % intervals over places."""
    # torch takes seconds to import: --help must not wait for it
    from crossfix.data.registry import DATASETS, open_dataset, parse
    from crossfix.data.table import TABLE
    from crossfix.evaluate.measurable import open_measurable

    sides = chosen_sides(protocol, "--protocol")
    if (Path(data) / TABLE).is_file():  # a table may tell right from wrong by distance, which a plain folder cannot
        data = f"folder:{data}"
    if data.partition(":")[0] in DATASETS:
        from crossfix.evaluate.task import evaluate_dataset

        name, root = parse(data)
        dataset = open_dataset(name, root)
        wanted = split or next((known for known in dataset.splits if known.startswith("test")), dataset.splits[-1])
        towards = cast("Any", direction or dataset.directions[0])
        words = tuple(word.strip() for word in (stress or "").split(",") if word.strip())
        measured = open_measurable(model)
        with bar("Describing") as describing:
            results = evaluate_dataset(measured, dataset, wanted, towards, stress=words, out=out, seed=seed, progress=describing)
        if as_json:
            typer.echo(json.dumps(results, indent=2))
        else:
            _print_both(results, sides)
        return
    if split is not None or direction is not None or stress is not None:
        raise InputError("a plain folder has no splits, directions and stress", where=data, mend="give a data set as NAME:ROOT")
    from crossfix.evaluate.benchmark import evaluate_folder

    measured = open_measurable(model)
    with bar("Describing") as describing:
        results = evaluate_folder(measured, Path(data), out=out, seed=seed, progress=describing)
    if as_json:
        typer.echo(json.dumps(results, indent=2))
    else:
        _print_folder(results)


def _print_both(results: dict[str, Any], sides: tuple[str, ...]) -> None:
    title = f"{results['model']['name']} on {results['dataset']} {results['split']} {results['direction']}"
    Console().print(scores_table(title, {side: results[side] for side in sides}, results["intervals95"]))
    typer.echo(f"{results['queries']} queries of {results['places']} places in a gallery of {results['gallery']} images")
    if "paper" in sides:
        typer.echo(f"paper: {results['about']}")
    if "stress" in results:
        Console().print(_stress_table(results))


def _stress_table(results: dict[str, Any]) -> Table:
    clean = results["strict"]["R@1"]
    table = Table("dial", "level", "of", "R@1, strict", "95 % interval", "change", title="under stress")
    for row in results["stress"]:
        value, (low, high) = row["strict"]["R@1"], row["intervals95"]["R@1"]
        interval = f"{100 * low:.1f} to {100 * high:.1f} %"
        table.add_row(row["dial"], f"{row['level']:g}", row["side"], f"{100 * value:.1f} %", interval, f"{100 * (value - clean):+.1f}")
    return table


def _print_folder(results: dict[str, Any]) -> None:
    table = Table("metric", "value", "95 % interval", title=f"{results['model']['name']} on {results['data']}")
    for name, score in results["metrics"].items():
        low, high = score["interval95"]
        table.add_row(name, f"{100 * score['value']:.1f} %", f"{100 * low:.1f} to {100 * high:.1f} %")
    Console().print(table)
    typer.echo(
        f"{results['queries']} queries of {results['places']} places in a gallery of {results['gallery']} images of "
        f"{results['gallery_places']} places; ties count against the query"
    )
