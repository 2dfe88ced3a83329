"""`crossfix score`: score descriptors by a published protocol, and strictly beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from crossfix.cli.progress import bar
from crossfix.errors import InputError

app = typer.Typer(add_completion=False, help="Score descriptors by a published protocol, and strictly beside it.")

_SHOWN_MA = ("MA@5", "MA@10", "MA@20", "MA@50", "MA@100")


@app.command(epilog="Example: crossfix score --queries Q.npz --gallery G.npz --protocol university1652 --json")
def score(
    queries: Annotated[
        Path, typer.Option(metavar="FILE.npz", help="features (N, D) and ids (N,); by protocol lonlat, xy_m, positives, semi_positives.")
    ],
    gallery: Annotated[Path, typer.Option(metavar="FILE.npz", help="features (N, D) and ids (N,), -1 for junk; by protocol lonlat, xy_m.")],
    protocol: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="university1652, university1652-sample4geo, sues200, denseuav, gtauav, cvusa, cvact, cvact-test or vigor.",
        ),
    ],
    only: Annotated[str | None, typer.Option(metavar="SIDE", help="paper or strict alone.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON only.")] = False,
) -> None:
    """Score descriptors as the authors of a benchmark do (paper), and with their quirks taken out (strict)."""
    # numpy, scipy and pyproj take a while to import: --help must not wait for them
    from crossfix.evaluate.arrays import read_descriptors
    from crossfix.evaluate.protocols import find_protocol
    from crossfix.evaluate.score import score as score_sets

    rules, side = find_protocol(protocol), _side(only)
    query_set, gallery_set = read_descriptors(queries, rules.query_needs), read_descriptors(gallery, rules.gallery_needs)
    with bar("Scoring") as scoring:
        scored = score_sets(query_set, gallery_set, protocol, only=side, seed=seed, progress=scoring)
    if as_json:
        typer.echo(json.dumps(scored.to_dict(), indent=2, allow_nan=False))
        return
    table = Table("metric", "paper", "strict", "95 % interval", title=f"{protocol}: {queries.name} in {gallery.name}")
    for name in dict.fromkeys((*scored.paper, *scored.strict)):
        if not name.startswith("MA@") or name in _SHOWN_MA:
            low, high = scored.intervals95.get(name, (None, None))
            interval = "-" if low is None else f"{_text(name, low)} to {_text(name, high)}"
            table.add_row(name, _text(name, scored.paper.get(name)), _text(name, scored.strict.get(name)), interval)
    Console().print(table)
    typer.echo(f"paper: {rules.about}")
    if scored.paper and not scored.unit_norm:
        typer.echo("The descriptors are not all of unit norm: paper took plain products, as the script does; strict took cosines.")
    typer.echo(
        f"{scored.queries} queries of {scored.places} places in a gallery of {scored.gallery} images; "
        "strict: ties count against the query, distractors stay"
    )


def _side(text: str | None) -> Literal["paper", "strict"] | None:
    if text is None:
        return None
    if text == "paper":
        return "paper"
    if text == "strict":
        return "strict"
    raise InputError(f"there is no side {text}", where="--only", mend="use paper or strict")


def _text(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} m" if name.startswith("Dis@") else f"{100 * value:.2f} %"
