"""`crossfix explain`: what a model sees in common in a photo and a satellite picture, and what it leaves out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from crossfix.errors import DiskError, InputError

app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
_TOLD = 5


@app.command(epilog="Example: crossfix explain photos/DJI_0026.JPG chip.png -o picture.png")
def explain(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The photo; its middle square is compared.", show_default=False)],
    chip: Annotated[Path, typer.Argument(metavar="CHIP", help="A picture of the map, north up.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="The picture to draw: .png, .jpg or .webp.", show_default=False)],
    model: Annotated[str, typer.Option(help="A model's name, or a model folder; its head must be SALAD.")] = "gengeo-tiny",
    ground: Annotated[bool, typer.Option("--ground", help="The photo was taken from the ground: take all of it, unturned.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Draw which parts of a photo and a chip go to which shared cluster, and which to the dustbin."""
    if out.suffix.lower() not in _ENDINGS:
        raise InputError("pictures of this ending are not drawn", where=out, mend=f"choose one of {', '.join(_ENDINGS)}")
    # These import torch, which takes seconds: --help must answer at once.
    from crossfix.evaluate.explain import explain as compare
    from crossfix.evaluate.explain_picture import draw
    from crossfix.geo.metadata import read_photo
    from crossfix.models.registry import open_model

    seen = (read_photo(photo).pixels, read_photo(chip).pixels)
    found = compare(*open_model(model), *seen, ground=ground)
    try:
        draw(found, photo.name, chip.name).save(out)
    except OSError as error:
        raise DiskError(f"cannot be written ({error.strerror or error})", where=out, mend="choose another folder or free space") from error
    if as_json:
        typer.echo(json.dumps({**found.to_dict(), "picture": str(out)}, indent=2, allow_nan=False))
        return
    typer.echo(f"Similarity {found.similarity:.3f} ({', '.join(filter(None, (found.model_id, found.turned)))}).")
    parts = [(f"cluster {j}", float(found.cluster_parts_M[j])) for j in found.ranked[:_TOLD]] + [("the global part", found.global_part)]
    told = [f"{name} {part:+.3f}" + ("" if (share := found.share(part)) is None else f" ({share:.0%})") for name, part in parts]
    typer.echo(f"It is the sum of {', '.join(told)} and the other clusters' parts.")
    typer.echo(
        f"Kept of the photo {found.photo.kept:.0%}, of the chip {found.chip.kept:.0%}; the rest went to the dustbin ({found.dustbin})."
    )
    typer.echo(f"Drawn: {out}")
