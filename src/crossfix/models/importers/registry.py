"""The formats that can be imported, and importing a file of one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import torch

from crossfix.errors import ModelError
from crossfix.models.card import ModelCard, Preprocessing
from crossfix.models.folder import CARD, WEIGHTS, save_model
from crossfix.models.gengeo import GenGeo, build
from crossfix.models.importers import cosplace, dinov2, mixvpr, salad, sample4geo
from crossfix.models.importers.checkpoint import Checkpoint, read_checkpoint
from crossfix.models.importers.naming import fill
from crossfix.models.importers.plan import Plan, Tensors

UNKNOWN_LICENCE = "LicenseRef-unknown"
_SHOWN = 3


@dataclass(frozen=True)
class Format:
    """A kind of checkpoint.

    Attributes:
        about: whose checkpoints they are, in a few words.
        licence: of the published weights as far as it is known (SPDX).
        training_data: of the published weights.
        recognises: whether a file's names are those of this kind.
        plan: which model of ours they make, given the tensors, the wanted input size and the wanted head.
    """

    about: str
    licence: str
    training_data: str
    recognises: Callable[[Collection[str]], bool]
    plan: Callable[[Tensors, int | None, str | None], Plan]


FORMATS: dict[str, Format] = {
    "dinov2": Format("DINOv2", "Apache-2.0", "LVD-142M (DINOv2, Meta AI)", dinov2.recognises, dinov2.plan),
    "salad": Format(
        "SALAD's dino_salad",
        "GPL-3.0-only",  # that of the repository whose releases hold the weights
        "GSV-Cities; encoder begun from DINOv2 (LVD-142M)",
        salad.recognises,
        salad.plan,
    ),
    "sample4geo": Format(
        "Sample4Geo's ConvNeXt",
        UNKNOWN_LICENCE,
        "one of CVUSA, CVACT, VIGOR and University-1652; the file does not say which",
        sample4geo.recognises,
        sample4geo.plan,
    ),
    "cvcities": Format(
        "CV-Cities or DINO-Mix: DINOv2 and MixVPR",
        UNKNOWN_LICENCE,
        "not said in the file; encoder begun from DINOv2 (LVD-142M)",
        mixvpr.recognises_cvcities,
        mixvpr.plan_cvcities,
    ),
    "mixvpr": Format("MixVPR behind a ResNet", UNKNOWN_LICENCE, "GSV-Cities; encoder begun from ImageNet", mixvpr.recognises, mixvpr.plan),
    "cosplace": Format(
        "CosPlace or EigenPlaces: a ResNet and GeM",
        UNKNOWN_LICENCE,
        "SF-XL; encoder begun from ImageNet",
        cosplace.recognises,
        cosplace.plan,
    ),
}


def import_model(
    file: str | Path,
    kind: str,
    out: str | Path,
    *,
    px: int | None = None,
    head: str | None = None,
    ground_hw: tuple[int, int] | None = None,
    name: str | None = None,
) -> ModelCard:
    """Turn a foreign checkpoint into a model folder.

    Args:
        file: written by `torch.save` or safetensors; never run, see `read_checkpoint`.
        kind: a key of `FORMATS`.
        out: model folder to write.
        px: side of the square input; None: the format's own.
        head: for encoders alone, what describes their tokens.
        ground_hw: height and width of pictures from the ground, for models of panoramas.
        name: on the card; None: the file's.

    Returns:
        The card as written; its recipe holds the file's name, sha256 and form.

    Raises:
        ModelError: for an unknown kind, a file that cannot be read, is of another kind or has missing, unexpected or misshapen tensors.
        DiskError: if the folder cannot be written.
    """
    if kind not in FORMATS:
        raise ModelError("there is no importer of this name", where=kind, mend=f"choose from {', '.join(FORMATS)}")
    file, out = Path(file), Path(out)
    if file.resolve() in ((out / WEIGHTS).resolve(), (out / CARD).resolve()):
        raise ModelError("the model folder would replace the checkpoint itself", where=out, mend="choose another folder")
    checkpoint = read_checkpoint(file)
    try:
        return _converted(checkpoint, kind, out, px, head, ground_hw, name)
    except ModelError as error:
        raise ModelError(error.what, where=error.where or file, mend=error.mend or _advice(checkpoint, kind)) from error


def _converted(
    checkpoint: Checkpoint,
    kind: str,
    out: Path,
    px: int | None,
    head: str | None,
    ground_hw: tuple[int, int] | None,
    name: str | None,
) -> ModelCard:
    form = FORMATS[kind]
    if not form.recognises(checkpoint.tensors):
        first = ", ".join(list(checkpoint.tensors)[:_SHOWN])
        raise ModelError(f"no checkpoint of {form.about} (its tensors begin with {first})")
    plan = form.plan(checkpoint.tensors, px, head)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # a head that the file does not hold is at least the same everywhere
        model = build(plan.architecture).eval()
    fill(model, checkpoint.tensors, plan.sources, plan.unneeded)
    if ground_hw:
        _check_ground(model, ground_hw)
    untrained = "" if plan.head_trained else "; the head is untrained"
    card = ModelCard(
        name=name or checkpoint.path.stem,
        architecture=plan.architecture,
        preprocessing=Preprocessing(plan.architecture.px, ground_hw=ground_hw),
        description=f"imported from {checkpoint.path.name}: {form.about}, {plan.form}{untrained}",
        training_data=form.training_data,
        recipe={"imported": {"file": checkpoint.path.name, "sha256": checkpoint.sha256, "kind": kind, "form": plan.form}},
        seed=None if plan.head_trained else 0,
        licence=form.licence,
        head_trained=plan.head_trained,
    )
    return save_model(out, model, card)


def _check_ground(model: GenGeo, ground_hw: tuple[int, int]) -> None:
    """Refuse sizes that patches do not divide, or whose number of tokens the head cannot take."""
    try:
        rows, columns = model.encoder.grid(*ground_hw)
        model.head(torch.zeros(1, rows * columns, model.encoder.dim), torch.zeros(1, model.encoder.dim))
    except ModelError as error:
        mend = error.mend if error.where else "choose another size, or leave it away"  # the encoder says which size would do
        raise ModelError(error.what, where="--ground", mend=mend) from error


def _advice(checkpoint: Checkpoint, kind: str) -> str:
    others = [other for other, form in FORMATS.items() if other != kind and form.recognises(checkpoint.tensors)]
    if others and not FORMATS[kind].recognises(checkpoint.tensors):
        return f"it looks like --as {others[0]}"
    return "give the file as published" if FORMATS[kind].recognises(checkpoint.tensors) else f"there are importers of {', '.join(FORMATS)}"
