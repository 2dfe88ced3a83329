"""`crossfix train`: train a model by a recipe."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from crossfix.cli.progress import stages
from crossfix.errors import InputError

app = typer.Typer(help="Train a model by a recipe; goes on where it was killed.")


@app.command(epilog="Example: crossfix train gengeo-cvusa --data cvusa:ROOT -o runs/cvusa")
def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of the recipe, such as gengeo-tiny; a wrong one lists them all.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="RUN", help="Run folder; a killed run in it goes on.")],
    data: Annotated[
        str | None, typer.Option(metavar="NAME:ROOT", help="The data set that the recipe trains on, and the folder of its copy.")
    ] = None,
    bank: Annotated[Path | None, typer.Option(help="Folder of a finished bank of pairs; otherwise RUN/bank is rendered.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps instead of the recipe's; the schedule is laid over them.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pairs of a batch instead of the recipe's.")] = None,
    cached: Annotated[
        int | None, typer.Option(help="Keep the activations of so many pairs of a batch at a time: the same gradients in less memory.")
    ] = None,
    px: Annotated[int | None, typer.Option(help="Side of satellite pictures instead of the recipe's; the others shrink with them.")] = None,
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME[/STRIDE]", help="timm network instead of the recipe's, from random numbers unless --pretrained."),
    ] = None,
    pretrained: Annotated[
        bool | None, typer.Option("--pretrained/--no-pretrained", help="Begin with timm's published weights, or with random numbers.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Begin with this model's weights: a name or folder; its licence stays theirs.")
    ] = None,
    held_out: Annotated[int | None, typer.Option(help="Places kept for validation instead of the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, batches and augmentation instead of the recipe's.", min=0)] = None,
    workers: Annotated[int | None, typer.Option(help="Threads that read a data set's pictures; by default one a core.")] = None,
    memory_gb: Annotated[float, typer.Option(help="Keep a data set's pictures, resized, in so much memory.")] = 0.0,
    clouds: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Point clouds of the places, if not where crossfix clouds build puts them.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON only.")] = False,
) -> None:
    """Train a model by a recipe; the same command goes on where a killed run stands."""
    # torch takes seconds to import: --help must not wait for it
    from crossfix.data.registry import parse
    from crossfix.train.config import SetData
    from crossfix.train.loop import train as run_training
    from crossfix.train.overrides import overridden
    from crossfix.train.recipes import recipe as recipe_named
    from crossfix.worlds.pairs import PairBank

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision through the bars
    config = overridden(
        recipe_named(recipe),
        steps=steps,
        batch=batch,
        cached=cached,
        px=px,
        encoder=encoder,
        pretrained=pretrained,
        held_out=held_out,
        seed=seed,
    )
    name, root = (None, None) if data is None else parse(data)
    if name is not None and isinstance(config.data, SetData) and name != config.data.name:
        raise InputError(f"{recipe} trains on {config.data.name}", where=data, mend=f"give --data {config.data.name}:ROOT")
    given = None if bank is None else PairBank.open(bank)
    with stages() as stage:
        result = run_training(
            config,
            out,
            stage("Training"),
            bank=given,
            root=root,
            workers=workers,
            memory_gb=memory_gb,
            bank_progress=stage("Rendering worlds"),
            clouds=clouds,
            cloud_progress=stage("Reading clouds"),
            start=start,
        )
    if os.environ.get("RANK", "0") != "0":  # torchrun's other processes
        return
    if as_json:
        typer.echo(json.dumps(result.results, indent=2))
        return
    best = result.results["validation"]
    if result.results.get("precision", config.precision) != config.precision:
        typer.echo("trained in float32: this machine does not multiply bfloat16 in hardware")
    typer.echo(
        f"{out}: {result.results['steps']} steps in {result.results['seconds']:.0f} s; best at step {best['step']}: "
        f"R@1 {100 * best['r1']:.1f} %, R@5 {100 * best['r5']:.1f} % of {best['queries']} held-out photos among {best['places']} places"
    )
    if found := result.results.get("clouds"):
        typer.echo(
            f"clouds of {found['places_with_cloud']:,} of {found['places']:,} places; "
            f"{found['unusable']:,} of {found['clouds'] + found['unusable']:,} clouds cannot be used"
            + (f", the first: {found['unusable_first'][0]}" if found["unusable"] else "")
        )
    typer.echo(f"Use it with --model {out}, or write it out with: crossfix model export {out} -o FOLDER")
