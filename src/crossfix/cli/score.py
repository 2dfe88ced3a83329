"""`crossfix score`: score descriptors by a published protocol, and strictly beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from crossfix.cli.output import show
from crossfix.cli.progress import bar
from crossfix.cli.scores import chosen_sides, scores_table

app = typer.Typer(add_completion=False, help="Score descriptors by a published protocol, and strictly beside it.")


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
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON only.")] = False,
) -> None:
    """Score descriptors as the authors of a benchmark do (paper), and with their quirks taken out (strict)."""
    # numpy, scipy and pyproj take a while to import: --help must not wait for them
    from crossfix.evaluate.arrays import read_descriptors
    from crossfix.evaluate.protocols import find_protocol
    from crossfix.evaluate.score import score as score_sets

    rules, sides = find_protocol(protocol), chosen_sides(only, "--only")
    side = cast("Literal['paper', 'strict'] | None", sides[0] if only else None)
    query_set, gallery_set = read_descriptors(queries, rules.query_needs), read_descriptors(gallery, rules.gallery_needs)
    with bar("Scoring") as scoring:
        scored = score_sets(
            query_set,
            gallery_set,
            protocol,
            only=side,
            seed=seed,
            progress=scoring,
        )
    if as_json:
        typer.echo(json.dumps(scored.to_dict(), indent=2, allow_nan=False))
        return
    title = f"{protocol}: {queries.name} in {gallery.name}"
    show(scores_table(title, {"paper": scored.paper, "strict": scored.strict}, scored.intervals95))
    typer.echo(f"paper: {rules.about}")
    if scored.paper and not scored.unit_norm:
        typer.echo("The descriptors are not all of unit norm: paper took plain products, as the script does; strict took cosines.")
    typer.echo(
        f"{scored.queries} queries of {scored.places} places in a gallery of {scored.gallery} images; "
        "strict: ties count against the query, distractors stay"
    )
