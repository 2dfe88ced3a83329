"""`crossfix evaluate`: measure a model on a benchmark, or on your own queries and gallery images, and compare what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.table import Table

from crossfix.cli.output import show
from crossfix.cli.progress import bar
from crossfix.cli.scores import chosen_protocol, compared_tables, scores_table
from crossfix.errors import InputError
from crossfix.evaluate.report.wording import score_text

if TYPE_CHECKING:
    from crossfix.evaluate.task import Measured

app = typer.Typer(help="Measure a model on a benchmark, or on your own queries and gallery images.")
_EXAMPLE = "Example: crossfix evaluate --model gengeo-tiny --data university1652:ROOT --stress weather,shift --report DIR"


@app.command(epilog=_EXAMPLE)
def evaluate(
    others: Annotated[
        list[Path] | None, typer.Argument(metavar="RESULTS.json", help="With --compare: results that were written before.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="NAME:ROOT", help="A data set and its folder, or a folder with query/PLACE/*.jpg and gallery/PLACE/*.jpg."),
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A model's name or folder, or a baseline: colour-histogram, rotated-hog.")
    ] = "gengeo-tiny",
    split: Annotated[str | None, typer.Option(help="Split of the data set; its first one to test on if none is given.")] = None,
    direction: Annotated[str | None, typer.Option(help="d2s, s2d, g2s or s2g; the data set's first if none is given.")] = None,
    stress: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS",
            help="Score under stress, too: weather, heading, fov, shift, scale, occlusion, corruptions, or names of dials.",
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="SIDE|NAME",
            help="Show paper or strict alone (results always hold both), or score the paper's side by another protocol's script: "
            "university1652-sample4geo is that of most papers on drones.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="DIR", help="Write results.json and its provenance here.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write report.html here, a page for people; results.json, too, unless --out says where."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare the RESULTS.json with each other, and with --data's, in DIR/compare.html.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap and of the dials.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON only.")] = False,
) -> None:
    """Measure a model as a benchmark's authors do (paper), and with their quirks taken out (strict), with 95 % intervals over places."""
    sides, script = chosen_protocol(protocol)
    if others and not compare:
        raise InputError("is not asked for", where=others[0], mend="say --compare to compare results, or --data to measure")
    if compare:
        if protocol is not None:
            raise InputError("comparisons are strict", where="--protocol", mend="leave it out")
        _compare(others or [], data, model, split, direction, stress, out, report, seed, as_json)
        return
    if data is None:
        raise InputError("there is nothing to measure on", where="--data", mend="give NAME:ROOT or a folder")
    if _is_plain(data) and report is None:
        if split is not None or direction is not None or stress is not None or "strict" not in sides or script is not None:
            raise InputError(
                "a plain folder has no splits, directions, stress and published protocol", where=data, mend="give a data set as NAME:ROOT"
            )
        _plain(data, model, out, seed, as_json)
        return
    measured = _measure(data, model, split, direction, stress, out, report, seed, script)
    if as_json:
        typer.echo(json.dumps(measured.results.values, indent=2))
        return
    _print_both(measured.results.values, sides)
    if report is not None:
        typer.echo(f"Report: {report / 'report.html'}")


def _is_plain(data: str) -> bool:
    """Whether it is a folder without a data set's name and without a table, which may tell right from wrong by distance."""
    # the libraries take a while to import: --help must not wait for them
    from crossfix.data.registry import DATASETS, parse
    from crossfix.data.table import TABLE

    if ":" in data and not Path(data).is_dir():
        parse(data)  # a data set's name may be misspelt
    return data.partition(":")[0] not in DATASETS and not (Path(data) / TABLE).is_file()


def _measure(
    data: str,
    model: str,
    split: str | None,
    direction: str | None,
    stress: str | None,
    out: Path | None,
    report: Path | None,
    seed: int,
    protocol: str | None = None,
) -> Measured:
    from crossfix.data.registry import DATASETS, open_dataset, parse
    from crossfix.evaluate.measurable import open_measurable
    from crossfix.evaluate.report.page import EXAMPLES, write_report
    from crossfix.evaluate.task import first_test_split, measure_dataset

    name, root = parse(data if data.partition(":")[0] in DATASETS else f"folder:{data}")
    dataset = open_dataset(name, root)
    wanted = split or first_test_split(dataset)
    words = () if stress is None else tuple(word.strip() for word in stress.split(","))
    with bar("Describing") as describing:
        measured = measure_dataset(
            open_measurable(model),
            dataset,
            wanted,
            cast("Any", direction or dataset.directions[0]),
            protocol=protocol,
            stress=words,
            out=out or report,
            seed=seed,
            examples=0 if report is None else EXAMPLES,
            progress=describing,
        )
    if report is not None:
        with bar("Drawing the report") as drawing:
            write_report(report, measured, progress=drawing)
    return measured


def _compare(
    others: list[Path],
    data: str | None,
    model: str,
    split: str | None,
    direction: str | None,
    stress: str | None,
    out: Path | None,
    report: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    from crossfix.evaluate.compare import compare
    from crossfix.evaluate.report.compare_page import write_comparison
    from crossfix.evaluate.results import read_results

    if data is None and (split or direction or stress or out):
        raise InputError(
            "is only for measuring anew", where="--split, --direction, --stress or --out", mend="give --data, too, or leave it out"
        )
    results = [read_results(path) for path in others]
    if data is not None:
        results.insert(0, _measure(data, model, split, direction, stress, out, report, seed).results)
    with bar("Resampling") as resampling:
        compared = compare(results, seed=seed, progress=resampling)
    if report is not None:
        write_comparison(report, compared, results)
    if as_json:
        typer.echo(json.dumps(compared, indent=2, allow_nan=False))
        return
    show(*compared_tables(compared))
    typer.echo(
        f"{compared['queries']} queries of {compared['places']} places; * the paired 95 % interval excludes 0 ({compared['draws']} draws)"
    )
    if report is not None:
        typer.echo(f"Report: {report / 'compare.html'}")


def _plain(data: str, model: str, out: Path | None, seed: int, as_json: bool) -> None:
    from crossfix.evaluate.benchmark import evaluate_folder
    from crossfix.evaluate.measurable import open_measurable

    measured = open_measurable(model)
    with bar("Describing") as describing:
        results = evaluate_folder(measured, Path(data), out=out, seed=seed, progress=describing)
    if as_json:
        typer.echo(json.dumps(results, indent=2))
    else:
        _print_folder(results)


def _print_both(results: dict[str, Any], sides: tuple[str, ...]) -> None:
    title = f"{results['model']['name']} on {results['dataset']} {results['split']} {results['direction']}"
    show(scores_table(title, {side: results[side] for side in sides}, results["intervals95"]))
    typer.echo(f"{results['queries']} queries of {results['places']} places in a gallery of {results['gallery']} images")
    if "paper" in sides:
        typer.echo(f"paper: {results['about']}")
    if "stress" in results:
        show(_stress_table(results, sides))


def _stress_table(results: dict[str, Any], sides: tuple[str, ...]) -> Table:
    paper = "paper" in sides and bool(results["paper"])
    strict = "strict" in sides
    columns = (["R@1, paper", "AP, paper"] if paper else []) + (["R@1, strict", "95 % interval", "change"] if strict else [])
    table = Table("dial", "level", "of", *columns, title="under stress")
    for row in results["stress"]:
        cells = [score_text(name, row["paper"].get(name)) for name in ("R@1", "AP")] if paper else []
        if strict:
            value, (low, high) = row["strict"]["R@1"], row["intervals95"]["R@1"]
            change = f"{100 * (value - results['strict']['R@1']):+.1f}"
            cells += [score_text("R@1", value), f"{score_text('R@1', low)} to {score_text('R@1', high)}", change]
        table.add_row(row["dial"], f"{row['level']:g}", row["side"], *cells)
    return table


def _print_folder(results: dict[str, Any]) -> None:
    table = Table("metric", "value", "95 % interval", title=f"{results['model']['name']} on {results['data']}")
    for name, score in results["metrics"].items():
        low, high = score["interval95"]
        table.add_row(name, f"{100 * score['value']:.1f} %", f"{100 * low:.1f} to {100 * high:.1f} %")
    show(table)
    typer.echo(
        f"{results['queries']} queries of {results['places']} places in a gallery of {results['gallery']} images of "
        f"{results['gallery_places']} places; ties count against the query"
    )
