"""`crossfix lab`: the laboratory of generalisation, worlds-v1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from crossfix.cli.output import show
from crossfix.cli.progress import bar, stages
from crossfix.disk import write_bytes
from crossfix.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Make and run worlds-v1, the laboratory of generalisation.")
_BASELINES = ("colour-histogram", "rotated-hog")
_RESULTS = "results"
_PLOT = "differences.svg"
Root = Annotated[Path, typer.Option("--root", help="Folder of the laboratory, made by crossfix lab make.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print only JSON.")]


@app.command("make", epilog="Example: crossfix lab make lab --small")
def make(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="The folder to write.")],
    small: Annotated[bool, typer.Option("--small", help="A quarter of the places at 128 px: minutes instead of an hour.")] = False,
    as_json: AsJson = False,
) -> None:
    """Render worlds-v1: training regions, new places of theirs, and three regions nobody trained on. Goes on where it was killed."""
    from crossfix.evaluate.lab import fingerprint
    from crossfix.worlds.sets.plan import write_set
    from crossfix.worlds.sets.worldsv1 import DIGESTS, WorldsV1Writer, digest

    with bar("Rendering worlds", quiet=as_json) as progress:
        write_set(WorldsV1Writer(root, small=small), progress=progress)
    found = digest(root)
    same = found == DIGESTS["small" if small else "full"]
    if as_json:
        typer.echo(json.dumps({"lab": str(root), "small": small, "tables": fingerprint(root), "bytes": found, "same_bytes": same}))
        return
    typer.echo(f"worlds-v1{', small' if small else ''} in {root}; measure a model on it with: crossfix lab run --root {root}")
    if not same:
        typer.echo("its bytes differ from the published ones (another CPU or another library); figures may differ a little")


@app.command("run", epilog="Example: crossfix lab run --model gengeo-tiny --root lab")
def run(
    root: Root,
    model: Annotated[list[str] | None, typer.Option("--model", metavar="NAME", help="A model's name or folder; repeat it.")] = None,
    imagenet: Annotated[
        Path | None, typer.Option(help="Weights of ImageNet MobileNetV2 (mobilenetv2_100, safetensors), as a third baseline.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Where results are kept; ROOT/results if nothing is given.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of stresses and bootstrap.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure models under every condition, beside baselines without training. What was measured once is not measured again."""
    from crossfix.data.worldsv1 import WorldsV1
    from crossfix.evaluate.lab import oracle_scores, run_lab
    from crossfix.evaluate.measurable import open_measurable

    names = [*(model or ["gengeo-tiny"]), *_BASELINES, *([] if imagenet is None else [f"mobilenetv2:{imagenet}"])]
    WorldsV1(root).table("seen")  # before a model is loaded
    models = [open_measurable(name) for name in dict.fromkeys(names)]  # a wrong name is told before anything is measured
    found: list[dict[str, Any]] = []
    for measured in models:
        folder = (out or root / _RESULTS) / f"{measured.model_id}-{measured.sha256[:8]}-{seed}"
        with bar(f"Measuring {measured.model_id}", quiet=as_json) as progress:
            found.append(run_lab(measured, root, out=folder, seed=seed, progress=progress))
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    show(_headline(found, oracle_scores(root)), _conditions(found))


@app.command("reproduce", epilog="Example: crossfix lab reproduce gengeo --root lab -o claims/gengeo")
def reproduce(
    claim: Annotated[
        str,
        typer.Argument(
            metavar="CLAIM",
            help="gengeo, gengeo-ground, dustbin, oracles; geolink, geolink-clouds, fusion, which need clouds of the training places.",
        ),
    ],
    root: Root,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder of all runs; goes on where it was killed.")],
    small: Annotated[bool, typer.Option("--small", help="A quarter of the steps, for a small laboratory: a rehearsal.")] = False,
    seeds: Annotated[int, typer.Option(help="Seeds: 0, 1, 2 and so on.", min=1)] = 3,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Some of the variants; repeat it. The first is what others are compared with.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Trainings at a time; two on two cores are done in four fifths of the time.", min=1)] = 1,
    as_json: AsJson = False,
) -> None:
    """Train a claim's variants with several seeds, examine them, print the table with paired differences, and draw it."""
    from crossfix.evaluate.claims import CLAIM_GROUPS
    from crossfix.evaluate.claims import claim as claim_named
    from crossfix.evaluate.trials import run_trials
    from crossfix.evaluate.trials_plot import differences_svg

    trials = claim_named(claim, small=small)
    if unknown := sorted(set(only or []) - {trial.name for trial in trials}):
        raise InputError("there is no such variant", where=", ".join(unknown), mend=f"choose from {', '.join(t.name for t in trials)}")
    by_name = {trial.name: trial for trial in trials}
    chosen = [by_name[name] for name in dict.fromkeys(only or by_name)]
    with stages(quiet=as_json) as stage:
        results = run_trials(chosen, root, out, seeds=seeds, groups=CLAIM_GROUPS[claim], jobs=jobs, progress=stage)
    if results["differences"]:
        write_bytes(out / _PLOT, differences_svg(results).encode())
    if as_json:
        typer.echo(json.dumps(results, indent=1))
        return
    show(_trials(f"R@1, %, mean of {seeds} seeds, 95 % intervals over seeds and places", results["table"], results))
    if any(results["shares"].values()):
        show(_shares(results["shares"]))
    if results["differences"]:
        show(_trials(f"less {chosen[0].name}, points; * where the interval leaves 0 out", results["differences"], results))
        typer.echo(f"drawn in {out / _PLOT}")


def _trials(title: str, cells: dict[str, dict[str, Any]], results: dict[str, Any]) -> Table:
    table = Table("variant", *results["groups"], title=title)
    signed = cells is results["differences"]
    for name, groups in cells.items():
        line = []
        for cell in groups.values():
            low, high = (100 * bound for bound in cell["interval95"])
            sure = "*" if signed and cell["excludes0"] else ""
            line.append(f"{100 * cell['value']:{'+' if signed else ''}.1f}{sure} [{low:.1f}, {high:.1f}]")
        table.add_row(name, *line)
    return table


def _shares(shares: dict[str, dict[str, float]]) -> Table:
    parts = list(next(iter(shares.values())))
    table = Table("variant", *parts, title="share of what the part's oracle reaches")
    for name, row in shares.items():
        table.add_row(name, *(f"{100 * row[part]:.0f} %" for part in parts))
    return table


def _headline(found: list[dict[str, Any]], oracle: dict[str, float]) -> Table:
    table = Table("mean R@1, %", *(one["model"]["name"] for one in found), title="worlds-v1")
    for name in found[0]["summary"]:
        table.add_row(name, *(f"{100 * one['summary'][name]:.1f}" for one in found))
    for part, best in oracle.items():
        if best > 0:
            shares = (f"{100 * one['summary'][part] / best:.0f} %" for one in found)
            table.add_row(f"{part}, of its oracle's {100 * best:.1f}", *shares)
    return table


def _conditions(found: list[dict[str, Any]]) -> Table:
    table = Table("part", "condition", "queries", *(one["model"]["name"] for one in found), title="R@1, %, with 95 % intervals over places")
    part = None
    for row, *others in zip(*(one["rows"] for one in found), strict=True):
        if row["part"] != part:
            table.add_section()
        cells = (f"{100 * one['strict']['R@1']:.1f} [{_percent(one)}]" for one in (row, *others))
        table.add_row(row["part"] if row["part"] != part else "", row["name"], str(row["queries"]), *cells)
        part = row["part"]
    return table


def _percent(row: dict[str, Any]) -> str:
    return ", ".join(f"{100 * value:.0f}" for value in row["intervals95"]["R@1"])
