"""`crossfix clouds`: point clouds of a data set's places, for training with 3D."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfix.cli.progress import bar
from crossfix.errors import InputError

if TYPE_CHECKING:
    from crossfix.clouds.backend import Backend
    from crossfix.data.dataset import Dataset

app = typer.Typer(no_args_is_help=True, help="Build, check and draw point clouds of the places of a data set.")


class BackendName(StrEnum):
    """What makes the clouds."""

    vggt = "vggt"
    colmap = "colmap"
    world = "world"


#: Options of `clouds build` that mean something to one backend alone.
_OWNERS = {
    **dict.fromkeys(("noise_m", "holes", "outliers", "reach_m"), BackendName.world),
    "dense": BackendName.colmap,
    **dict.fromkeys(("confidence", "sky", "weights", "device"), BackendName.vggt),
}


class ShadeName(StrEnum):
    """What the colours of a picture say."""

    true = "true"
    height = "height"


Root = Annotated[Path, typer.Argument(metavar="ROOT", help="Folder of the copy of the data set.")]
Data = Annotated[str, typer.Option("--data", metavar="NAME", help="Name of the data set, as `crossfix data list` shows it.")]
Split = Annotated[str | None, typer.Option(help="The training split; of sues200 train-300, as published, if none is given.")]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder of the clouds; beside the pictures as GeoLink has it if none is given.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print only JSON.")]


@app.command("build", epilog="Example: crossfix clouds build sets/university --data university1652 --backend world")
def build(
    context: typer.Context,
    root: Root,
    data: Data,
    backend: Annotated[BackendName, typer.Option(help="vggt (a network), colmap (features), world (exact, of a set of worlds).")],
    groups: Annotated[int, typer.Option(help="Clouds a place, each from its own part of the views.")] = 3,
    views: Annotated[int | None, typer.Option(help="Views a cloud, at most; all of its part if not given.")] = None,
    split: Split = None,
    out: Out = None,
    points: Annotated[int, typer.Option(help="Points a cloud, at most.", min=1)] = 30_000,
    seed: Annotated[int, typer.Option(help="Seed of all draws.", min=0)] = 0,
    noise_m: Annotated[float, typer.Option("--noise-m", help="world: standard deviation of each coordinate's error, metres.")] = 0.0,
    holes: Annotated[float, typer.Option(help="world: share of the points that is missing, in round pieces.")] = 0.0,
    outliers: Annotated[float, typer.Option(help="world: share of the points that lies anywhere.")] = 0.0,
    reach_m: Annotated[float | None, typer.Option("--reach-m", help="world: no point further from the place; 0 for all.")] = None,
    side: Annotated[int | None, typer.Option(help="Longer side of the pictures in pixels; the backend's own if not given.", min=14)] = None,
    dense: Annotated[bool, typer.Option("--dense", help="colmap: dense clouds; needs CUDA.")] = False,
    confidence: Annotated[float, typer.Option(help="vggt: percentile of confidence below which pixels are left out.")] = 50.0,
    sky: Annotated[bool, typer.Option("--sky/--no-sky", help="vggt: leave sky in.")] = False,
    weights: Annotated[str | None, typer.Option(help="vggt: name or folder of the weights.")] = None,
    device: Annotated[str | None, typer.Option(help="vggt: such as cuda or cpu; the accelerator if there is one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make point clouds of every training place from its drone views; goes on where it was killed.

    Writes PLACE_groupG/points3D.txt as GeoLink reads it, report.json and samples.png. Exit code 1 where some clouds could not be made.
    """
    from crossfix.clouds.build import build_clouds, plan_jobs
    from crossfix.clouds.layout import cloud_folder, training_split
    from crossfix.data.registry import open_dataset

    for option, owner in _OWNERS.items():
        if owner is not backend and str(context.get_parameter_source(option)).endswith("COMMANDLINE"):
            raise InputError(f"--{option.replace('_', '-')} is for clouds by {owner}, not by {backend}", mend="leave it out")
    dataset = open_dataset(data, root)
    chosen = split or training_split(data, dataset.splits)
    jobs = plan_jobs(_drone_views(dataset, chosen), groups, views)
    common: dict[str, Any] = {"points": points, "seed": seed}
    maker: Backend
    if backend is BackendName.world:
        from crossfix.clouds.degrade import Dials
        from crossfix.clouds.from_world import REACH_M, SIDE_PX, WorldBackend
        from crossfix.worlds.sets.exact import ExactSet

        exact, reach = ExactSet(dataset.root), REACH_M if reach_m is None else reach_m or None
        maker = WorldBackend(lambda view: exact.sight(view, side or SIDE_PX), Dials(noise_m, holes, outliers, reach), **common)
    elif backend is BackendName.colmap:
        from crossfix.clouds import from_colmap

        maker = from_colmap.ColmapBackend(dense=dense, side_px=side or from_colmap.SIDE_PX, **common)
    else:
        from crossfix.clouds import from_vggt, vggt_network

        if not as_json:
            typer.echo(vggt_network.LICENCE, err=True)
        network = vggt_network.load_vggt(weights or vggt_network.WEIGHTS, device)
        maker = from_vggt.VggtBackend(
            network,
            licence=vggt_network.LICENCE,
            confidence=confidence,
            sky=not sky,
            side_px=side or from_vggt.SIDE_PX,
            points=points,
            seed=seed,
        )
    folder = out or cloud_folder(dataset.root, data, chosen)
    plan = {"data": data, "split": chosen, "groups": groups, "views": views, "side": side}
    with bar("Building clouds", quiet=as_json) as progress:
        report = build_clouds(folder, jobs, maker, plan=plan, progress=progress)
    typer.echo(json.dumps(report, indent=2) if as_json else _told(report))
    if report["failed"]:
        raise typer.Exit(1)


@app.command("check", epilog="Example: crossfix clouds check sets/university --data university1652")
def check(root: Root, data: Data, split: Split = None, out: Out = None, as_json: AsJson = False) -> None:
    """Read every cloud of the training places: which are missing, damaged, or too small to sample 1,024 points.

    Exit code 2 if there is anything.
    """
    from crossfix.clouds.check import check_clouds
    from crossfix.clouds.layout import cloud_folder, training_split
    from crossfix.data.registry import open_dataset

    dataset = open_dataset(data, root)
    chosen = split or training_split(data, dataset.splits)
    places = [place for place, _ in _drone_views(dataset, chosen)]
    with bar("Reading clouds", quiet=as_json) as progress:
        report = check_clouds(out or cloud_folder(dataset.root, data, chosen), places, progress=progress)
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        for finding in report["findings"]:
            typer.echo(f"{finding['where']}: {finding['what']}")
        typer.echo(f"{report['clouds']:,} clouds of {report['places']:,} places, {len(report['findings'])} findings")
    if report["findings"]:
        raise typer.Exit(2)


@app.command("view", epilog="Example: crossfix clouds view sets/university/train/drone_3D/0001_group0 -o cloud.png")
def view(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A cloud: points3D.txt or .bin, .ply, .laz, .las, .npz, or its folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The PNG to write, or an .rrd for the Rerun viewer (extra: rerun).")],
    colours: Annotated[ShadeName | None, typer.Option(help="true or height; true where the cloud has colours, if not given.")] = None,
    size: Annotated[int, typer.Option(help="Side of each of the two pictures in pixels.")] = 640,
    as_json: AsJson = False,
) -> None:
    """Draw a cloud from two sides, obliquely and from above, or record it for a viewer."""
    from crossfix.clouds.draw import draw
    from crossfix.clouds.files import read_cloud
    from crossfix.clouds.recording import write_recording
    from crossfix.disk import write_bytes

    cloud = read_cloud(file)
    about: dict[str, Any] = {"points": len(cloud), "coloured": cloud.rgb_N3 is not None, "frame": cloud.frame, "picture": str(out)}
    if out.suffix.lower() == ".rrd":
        about["shift_m"] = write_recording(out, cloud, str(file))
    else:
        write_bytes(out, draw(cloud, px=size, shade=None if colours is None else colours.value, title=str(file)))
    typer.echo(json.dumps(about) if as_json else f"{out}: {len(cloud):,} points, frame {cloud.frame}")


def _drone_views(dataset: Dataset, split: str) -> list[tuple[str, Path]]:
    """Place and file of a split's drone views."""
    direction = next((way for way in ("d2s", "any") if way in dataset.directions), None)
    if direction is None:
        raise InputError(f"{dataset.name} has no drone views", mend="choose a data set that has")
    return [(view.place, view.path) for view in dataset.task(split, direction).query]


def _told(report: dict[str, Any]) -> str:
    lines = [f"{report['folder']}: {report['clouds']:,} clouds of {report['places']:,} places by {report['backend']}"]
    if report["clouds"]:
        registered = f"{report['registered']:,} of {report['views']:,} views registered"
        lines.append(f"{report['points']['least']:,} to {report['points']['most']:,} points a cloud, {registered}")
    if report["fewer_than_1024_points"]:
        lines.append(f"{report['fewer_than_1024_points']:,} clouds have fewer than 1,024 points")
    lines += [f"{count:,} clouds failed: {reason}" for reason, count in report["failures"].items()]
    return "\n".join(lines)
