"""`crossfix model`: the models that have names, what one is, exporting and averaging trained ones, importing other projects'."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from crossfix.cli.output import show
from crossfix.errors import InputError

app = typer.Typer(no_args_is_help=True, help="List models, show what one is, export or average trained ones, import another project's.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only.")]

# The rooms below import torch, which takes seconds: each command imports what it needs, so that --help answers at once.


@app.command("list", epilog="Example: crossfix model list --json")
def list_(as_json: AsJson = False) -> None:
    """List the models that have names."""
    from crossfix.models.registry import list_models

    models = list_models()
    if as_json:
        typer.echo(json.dumps([asdict(model) for model in models], indent=2))
        return
    table = Table("name", "description", "dim", "input", "MB", "weights", "licence")
    for model in models:
        px = "-" if model.px is None else f"{model.px} px"
        table.add_row(model.name, model.description, _text(model.dim), px, _text(model.size_mb), model.weights, model.licence)
    show(table)


@app.command("info", epilog="Example: crossfix model info gengeo-tiny")
def info(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model's name, or a model folder.")],
    as_json: AsJson = False,
) -> None:
    """Show a model's card: architecture, training, figures, licence."""
    from crossfix.models.registry import info as card_of

    card = card_of(name).to_dict()
    if as_json:
        typer.echo(json.dumps(card, indent=2))
        return
    table = Table(show_header=False)
    for key, value in _flat(card):
        table.add_row(key, value)
    show(table)


@app.command("export", epilog="Example: crossfix model export runs/tiny -o models/tiny")
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run (or any model folder).")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Model folder to write.")],
    dtype: Annotated[str, typer.Option(help="How matrices are stored: float16 or float32.")] = "float16",
    name: Annotated[str | None, typer.Option(help="Name on the card; default: the run's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the best weights of a training run as a model folder to be used with --model."""
    from crossfix.models.folder import WEIGHTS, load_model, save_model

    if out.resolve() == run.resolve():
        raise InputError("the model folder would replace the run's own weights", where=out, mend="choose another folder with -o")
    model, card = load_model(run)
    card = save_model(out, model, replace(card, dtype=_dtype(dtype), name=name or card.name))
    size_mb = round((out / WEIGHTS).stat().st_size / 1e6, 2)
    if as_json:
        typer.echo(
            json.dumps({"folder": str(out), "name": card.name, "dtype": card.dtype, "size_mb": size_mb, "sha256": card.sha256}, indent=2)
        )
        return
    typer.echo(f"{out}: {card.name}, {size_mb} MB in {card.dtype}; use it with --model {out}")


@app.command("average", epilog="Example: crossfix model average models/before runs/after -o models/both --share 0.5")
def average(
    first: Annotated[str, typer.Argument(metavar="BEFORE", help="The model that was trained on from: its name or folder.")],
    second: Annotated[str, typer.Argument(metavar="AFTER", help="The model that came of it.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Model folder to write.")],
    share: Annotated[float, typer.Option(help="AFTER's part in each weight, 0 to 1.")] = 0.5,
    as_json: AsJson = False,
) -> None:
    """Average a model with its own further training, which often holds better where neither was trained than both do."""
    from crossfix.models.average import average_models
    from crossfix.models.folder import save_model

    if out.resolve() in (Path(first).resolve(), Path(second).resolve()):
        raise InputError("the model folder would replace one of the two", where=out, mend="choose another folder with -o")
    model, card = average_models(first, second, share)
    card = save_model(out, model, card)
    if as_json:
        typer.echo(
            json.dumps({"folder": str(out), "name": card.name, "share": share, "licence": card.licence, "sha256": card.sha256}, indent=2)
        )
        return
    typer.echo(f"{out}: {1 - share:g} of {first} and {share:g} of {second}; use it with --model {out}")


@app.command("import", epilog="Example: crossfix model import dino_salad.ckpt --as salad -o models/salad")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A checkpoint: torch (read without running anything in it) or safetensors.")],
    kind: Annotated[str, typer.Option("--as", metavar="KIND", help="Whose: dinov2, salad, sample4geo, cvcities, mixvpr or cosplace.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Model folder to write.")],
    px: Annotated[int | None, typer.Option(min=1, help="Side of the square input; default: the published one.")] = None,
    ground: Annotated[
        str | None, typer.Option(metavar="HxW", help="Size of pictures from the ground, for models of panoramas: 140x768.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="For dinov2: cls (default), mean, gem, or salad (untrained, a start for training).")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name on the card; default: the file's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Turn a checkpoint of another project into a model folder to be used with --model."""
    from crossfix.models.folder import WEIGHTS
    from crossfix.models.importers.registry import import_model

    card = import_model(file, kind, out, px=px, head=head, ground_hw=None if ground is None else _size(ground), name=name)
    told = {
        "folder": str(out),
        "name": card.name,
        "form": card.recipe["imported"]["form"],
        "encoder": card.architecture.encoder,
        "px": card.preprocessing.px,
        "ground_hw": card.preprocessing.ground_hw,
        "licence": card.licence,
        "head_trained": card.head_trained,
        "size_mb": round((out / WEIGHTS).stat().st_size / 1e6, 2),
        "source_sha256": card.recipe["imported"]["sha256"],
        "sha256": card.sha256,
    }
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    typer.echo(f"{out}: {card.description}")
    seen = "" if ground is None else f", from the ground {' x '.join(str(side) for side in card.preprocessing.ground_hw or ())} px"
    typer.echo(f"{told['encoder']}, {told['px']} px{seen}, {told['size_mb']} MB, licence {card.licence}; use it with --model {out}")


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise InputError(f"{text} is no size", where="--ground", mend="give height x width in pixels, such as 140x768")
    return int(height), int(width)


def _dtype(text: str) -> Literal["float32", "float16"]:
    if text == "float16":
        return "float16"
    if text == "float32":
        return "float32"
    raise InputError(f"weights cannot be stored as {text}", where="--dtype", mend="use float16 or float32")


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{prefix}{key}.")
        elif value not in ({}, "", None):
            rows.append((prefix + key, str(value)))
    return rows
