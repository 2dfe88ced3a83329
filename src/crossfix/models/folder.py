"""Model folders: `model.safetensors` and `card.json`, written atomically, checked when read, never pickle."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError

from crossfix.disk import write_bytes, write_json
from crossfix.errors import DiskError, ModelError
from crossfix.models.card import ModelCard
from crossfix.models.gengeo import GenGeo, build

WEIGHTS = "model.safetensors"
CARD = "card.json"


def save_model(folder: str | Path, model: GenGeo, card: ModelCard) -> ModelCard:
    """Write a model folder, or replace the model in one.

    Args:
        folder: made if need be; other files in it stay.
        model: on any device, in float32.
        card: its `dtype` decides how weights are stored, its `sha256` is filled in.

    Returns:
        The card as written.

    Raises:
        ModelError: if the card describes another architecture, or weights do not fit the dtype.
        DiskError: if the folder cannot be written.
    """
    if card.architecture != model.config:
        raise ModelError("the card describes another architecture than the model's", where=card.name)
    dtype = torch.float16 if card.dtype == "float16" else torch.float32
    tensors = {name: _stored(tensor, dtype) for name, tensor in model.state_dict().items()}
    if bad := [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]:
        raise ModelError(
            f"weights that are not finite in {card.dtype}: {', '.join(bad[:3])}", where=card.name, mend="store them as float32"
        )
    data = safetensors.torch.save(tensors, metadata={"format": "pt"})
    card = replace(card, sha256=hashlib.sha256(data).hexdigest())
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / WEIGHTS, data)
        write_json(folder / CARD, card.to_dict())
    except OSError as error:
        raise DiskError(f"cannot write the model ({error.strerror})", where=folder, mend="free space or choose another folder") from error
    return card


def load_card(folder: str | Path) -> ModelCard:
    """Read a model folder's card.

    Raises:
        ModelError: if it is missing or damaged.
    """
    path = Path(folder) / CARD
    if not path.is_file():
        raise ModelError(
            f"no model folder: {CARD} is missing", where=folder, mend="give a folder written by crossfix train or model export"
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("not an object")
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot be read ({error})", where=path, mend="copy the model folder again") from error
    try:
        return ModelCard.from_dict(values)
    except ModelError as error:
        raise ModelError(error.what, where=path, mend=error.mend) from error


def load_model(folder: str | Path) -> tuple[GenGeo, ModelCard]:
    """Read a model folder.

    Returns:
        (model, card): the model on the CPU in float32 and evaluation mode.

    Raises:
        ModelError: if files are missing, weights are not the card's (sha256), or they do not fit the architecture.
    """
    card = load_card(folder)
    path = Path(folder) / WEIGHTS
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError("the weights cannot be read", where=path, mend="copy the model folder again") from error
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise ModelError("the weights are not those the card describes (sha256 differs)", where=path, mend="copy the model folder again")
    try:
        tensors = safetensors.torch.load(data)
    except SafetensorError as error:
        raise ModelError(f"no safetensors file ({error})", where=path, mend="copy the model folder again") from error
    try:
        model = build(card.architecture)
    except ModelError as error:
        raise ModelError(f"unknown architecture: {error}", where=Path(folder) / CARD, mend="update crossfix or timm") from error
    try:
        model.load_state_dict({name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()})
    except RuntimeError as error:
        first = " ".join(str(error).split())[:200]
        raise ModelError(
            f"the weights do not fit the card's architecture ({first})", where=path, mend="copy the model folder again"
        ) from error
    return model.eval(), card


def _stored(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    # Vectors (norms, biases, running statistics) are small and of wide range: they stay float32.
    if not tensor.is_floating_point():
        return tensor.detach().cpu().contiguous()
    return tensor.detach().to("cpu", dtype if tensor.ndim >= 2 else torch.float32).contiguous()
