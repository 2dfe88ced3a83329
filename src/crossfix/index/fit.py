"""A head fitted on the map itself: any encoder, no training.

AnyLoc (Keetha et al., RA-L 2023) sums the tokens of a frozen encoder by a VLAD vocabulary that is fitted on a domain's database images and
whitens the sums. Here the domain is the one map that is being indexed: the vocabulary and the whitening come from its own chips, and the
index carries the model. Two of AnyLoc's choices are not followed. It takes the values of one attention layer, found by a search for each
encoder; the final tokens need no search and no hooks, exist for every encoder, and leave a model like any other. And it assigns tokens to
one centre each and whitens fully; sharing them out and whitening half did better between the seasons of real imagery
(benchmarks/map_fitted.py).

Axes: B batch, N tokens, D features of a token or entries of a descriptor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from crossfix.disk import disk
from crossfix.errors import InputError, MapIndexError, ModelError
from crossfix.index.folder import DESCRIPTORS, FITTED, JOURNAL, alone, clear, fitted, refuse_foreign, refuse_other
from crossfix.index.store import MANIFEST, MODEL, MapIndex, describe_map
from crossfix.maps.chip import ChipTable
from crossfix.maps.plan import TilingPlan
from crossfix.maps.raster import GeoMap
from crossfix.models.card import ModelCard
from crossfix.models.describe import Describer
from crossfix.models.fitting import kmeans, whitening
from crossfix.models.folder import load_model, save_model
from crossfix.models.gengeo import GenGeo, MeanConfig, VladConfig
from crossfix.models.heads import Head
from crossfix.models.registry import load
from crossfix.models.vlad import Vlad

# Bounds of memory and time, whatever the size of the map.
VOCABULARY_CHIPS = 1024
VOCABULARY_TOKENS = 2**16
WHITENING_PICTURES = 2048
WHITENING_ENTRIES = 2**27
TOKENS_A_CLUSTER = 16
# The directions of a few chips leave out most of what a photo may show, and a few chips take no space: such maps are not whitened.
PICTURES_A_DIRECTION = 4
LEAST_DIRECTIONS = 128
HALF = 0.5
_SEED = 0
_BATCH = 32

Report = Callable[[int, int], None]


class _Tokens(nn.Module):
    """A head that leaves the tokens as they are, one after the other."""

    def __init__(self, out_dim: int) -> None:
        super().__init__()
        self.out_dim = out_dim

    def forward(self, tok_BND: torch.Tensor, cls_BD: torch.Tensor | None = None) -> torch.Tensor:
        return tok_BND.flatten(1)


def fit_head(
    geomap: GeoMap,
    encoder: tuple[GenGeo, ModelCard],
    out: str | Path,
    plan: TilingPlan,
    *,
    head: VladConfig | None = None,
    power: float = HALF,
    progress: Report | None = None,
    overwrite: bool = False,
) -> Describer:
    """Fits a VLAD head on a map's chips and saves encoder and head as the model of the index folder.

    A head that was fitted there on the same map with the same encoder, plan and sizes is used as it is. The folder is an index only after
    `build_index` with `carried=True`.

    Args:
        geomap: the map.
        encoder: a model; its own head is not used.
        out: the index folder; made if it is not there.
        plan: which chips the index will have; the head is fitted on a sample of them, the same number of each side as far as there are.
        head: its sizes. `dim` is what the whitening keeps at most, and no more than a quarter as many as pictures are fitted on (each chip
            at four turns, or at one if the model's card says so). Where that would be less than 128, and less than `dim`, there is no
            whitening.
        power: of the whitening, see `crossfix.models.fitting.whitening`.
        progress: called with the number of pictures done and in all.
        overwrite: remove an index of another map, model or plan.

    Returns:
        The model as saved, ready for `build_index`.

    Raises:
        MapIndexError: the folder holds something else, or another build is writing into it.
        RasterError: the map cannot be read, or no chip fits.
        ModelError: the chips are too few for the head, or tokens are not finite.
        DiskError: the disk is full or the folder is not writable.
    """
    head = head or VladConfig()
    if head.clusters < 1 or (head.dim is not None and head.dim < 1):
        raise InputError(f"a head of {head.clusters} clusters and {head.dim} entries makes no sense", mend="give positive numbers")
    folder = Path(out)
    refuse_foreign(folder)
    with disk(folder):
        (folder / DESCRIPTORS).mkdir(parents=True, exist_ok=True)
    with alone(folder):
        tokens = _token_describer(*encoder)
        fitting = {
            "head": {"clusters": head.clusters, "dim": head.dim, "sharpness": head.sharpness, "power": power},
            "encoder": {"id": encoder[1].name, "sha256": tokens.sha256},
            "plan": {"sides_m": list(plan.sides_m), "overlap": plan.overlap},
            "rasters": [item["fingerprint"] for item in describe_map(geomap, folder)],
            "seed": _SEED,
        }
        if fitted(folder) == fitting:
            try:
                describer = Describer(*load_model(folder / MODEL))
                if progress:
                    progress(1, 1)
                return describer
            except ModelError as error:
                if not overwrite:
                    raise MapIndexError("the model that the index carries is damaged", where=folder, mend="add --overwrite") from error
        begun = (folder / MANIFEST).exists() or (folder / JOURNAL).exists()
        if begun and not overwrite:
            raise refuse_other(folder, "a" if (folder / MANIFEST).exists() else "an unfinished")
        clear(folder)
        model, card = _fit(geomap, encoder, tokens, plan, head, power, progress)
        _save(folder, model, replace(card, recipe={**card.recipe, FITTED: fitting}))
        return Describer(*load_model(folder / MODEL))


def map_describer(name_or_folder: str | Path) -> Describer:
    """The model to describe a map's chips with, and photos from above.

    Raises:
        ModelError: there is no such model, it is damaged, or it is one of panoramas.
    """
    describer = load(name_or_folder)
    ground_hw = describer.card.preprocessing.ground_hw
    if ground_hw is not None and not describer.card.any_view:
        raise ModelError(
            f"is a model of panoramas, of {ground_hw[0]} x {ground_hw[1]} pixels, and knows no photos from above",
            where=describer.model_id,
            mend="choose another model, such as gengeo-tiny, or build the index with --head vlad",
        )
    return describer


def describer_of(index: MapIndex, name_or_folder: str | Path | None = None) -> Describer:
    """The model to describe queries with.

    Args:
        index: the map's index.
        name_or_folder: what the user asks for; None: the model that the index carries, or the one it names.

    Raises:
        ModelError: as `map_describer`.
    """
    return map_describer(name_or_folder or index.model_folder or index.model_id)


def sample(sides_m: np.ndarray[Any, np.dtype[np.float64]], count: int, seed: int = _SEED) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Rows of chips to fit on: as many of each side as there are, so that the many small chips do not outvote the large ones.

    Args:
        sides_m: (N,) sides of the chips.
        count: how many rows at most.
        seed: of the choice.

    Returns:
        (M,) different row numbers in rising order.
    """
    groups = sorted((np.flatnonzero(sides_m == side_m) for side_m in np.unique(sides_m)), key=len)
    chosen: list[np.ndarray[Any, np.dtype[np.int64]]] = []
    for number, rows in enumerate(groups):
        share = (count - sum(map(len, chosen))) // (len(groups) - number)
        chosen.append(np.random.default_rng([seed, number]).permutation(rows)[:share])
    return np.sort(np.concatenate(chosen))


def _fit(
    geomap: GeoMap,
    encoder: tuple[GenGeo, ModelCard],
    tokens: Describer,
    plan: TilingPlan,
    config: VladConfig,
    power: float,
    progress: Report | None,
) -> tuple[GenGeo, ModelCard]:
    net, card = encoder
    chips = plan.chips(geomap)
    features = net.encoder.dim
    for_words = sample(chips.side_m, VOCABULARY_CHIPS)
    # Photos come at any heading: how a chip changes when it turns belongs to what is whitened, unless the encoder does not mind.
    turns = card.query_turns
    pictures = min(WHITENING_PICTURES, WHITENING_ENTRIES // (config.clusters * features))
    for_whitening = sample(chips.side_m, max(1, pictures // turns))
    dim = _entries(config.dim, len(for_whitening) * turns)
    total = len(for_words) + (len(for_whitening) * turns if dim else 0)
    a_chip = tokens.dim // features
    keep = max(1, min(a_chip, VOCABULARY_TOKENS // len(for_words)))
    if keep * len(for_words) < TOKENS_A_CLUSTER * config.clusters:
        raise ModelError(
            f"{len(chips)} chips give {keep * len(for_words)} tokens, too few for {config.clusters} clusters",
            where=geomap.paths[0],
            mend="ask for fewer --clusters, or give smaller --side-m",
        )
    tok_ND = torch.empty(keep * len(for_words), features)
    for at, tok_BND in _encoded(geomap, chips, for_words, tokens, features, 1, _from(progress, 0, total)):
        for i, tok_AD in enumerate(tok_BND):
            chosen = np.random.default_rng([_SEED, int(for_words[at + i])]).permutation(a_chip)[:keep]
            tok_ND[(at + i) * keep : (at + i + 1) * keep] = nn.functional.normalize(tok_AD[chosen], dim=-1)
    # As stored: what is whitened next are residuals of these very centres.
    centroid = kmeans(tok_ND, config.clusters, seed=_SEED).half().float()
    del tok_ND
    head = Vlad(features, config.clusters, None, config.sharpness)
    head.centroid.copy_(centroid)
    if dim is not None:
        desc_ND = torch.empty(len(for_whitening) * turns, head.out_dim)
        for at, tok_BND in _encoded(geomap, chips, for_whitening, tokens, features, turns, _from(progress, len(for_words), total)):
            desc_ND[at : at + len(tok_BND)] = head.aggregate(tok_BND)
        mean, project = whitening(desc_ND, dim, power=power)
        head = Vlad(features, config.clusters, len(project), config.sharpness)
        head.centroid.copy_(centroid)
        head.mean.copy_(mean)
        head.project.copy_(project)
        dim = len(project)
    architecture = replace(net.config, head=replace(config, dim=dim), separate_heads=False, trainable_blocks=None, ground_encoder=False)
    words = f"VLAD of {config.clusters} clusters, " + ("not whitened" if dim is None else f"whitened to {dim} entries")
    return GenGeo(net.encoder, head, architecture).eval(), ModelCard(
        name=f"{card.name}-vlad",
        architecture=architecture,
        preprocessing=replace(card.preprocessing, ground_hw=None, ground_fit="whole"),  # chips and photos are one size
        description=f"the encoder of {card.name} and a {words}, fitted on a map of {len(chips)} chips",
        training_data=card.training_data,
        recipe=card.recipe,
        seed=_SEED,
        licence=card.licence,
        dtype="float16",
        query_turns=card.query_turns,
    )


def _entries(dim: int | None, pictures: int) -> int | None:
    """Directions that so many pictures can whiten, None for no whitening."""
    most = pictures // PICTURES_A_DIRECTION
    return None if dim is None or most < min(dim, LEAST_DIRECTIONS) else min(dim, most)


def _token_describer(model: GenGeo, card: ModelCard) -> Describer:
    """The encoder alone; its digest is that of the encoder's weights, whatever head the model came with."""
    config = replace(model.config, head=MeanConfig(), separate_heads=False, trainable_blocks=None, ground_encoder=False)
    rows, columns = model.encoder.grid(config.px, config.px)
    head = cast(Head, _Tokens(rows * columns * model.encoder.dim))
    return Describer(GenGeo(model.encoder, head, config), replace(card, architecture=config, sha256=""), precision="float32")


def _encoded(
    geomap: GeoMap,
    chips: ChipTable,
    rows: np.ndarray[Any, np.dtype[np.int64]],
    tokens: Describer,
    features: int,
    turns: int,
    progress: Callable[[int], None],
) -> Iterator[tuple[int, torch.Tensor]]:
    """Tokens (B, N, D) of chosen chips at so many quarter turns, in batches, each with the number of its first picture among all."""
    at = 0
    pictures: list[Any] = []
    for number, chip in enumerate(geomap.read_squares(chips[rows], tokens.input_px)):
        pictures += [np.rot90(chip.filled(), turn) for turn in range(turns)]
        if len(pictures) >= _BATCH or number + 1 == len(rows):
            yield at, torch.from_numpy(tokens.describe(pictures)).view(len(pictures), -1, features)
            at += len(pictures)
            pictures = []
            progress(at)


def _from(progress: Report | None, done: int, total: int) -> Callable[[int], None]:
    return lambda at: progress(done + at, total) if progress else None


def _save(folder: Path, model: GenGeo, card: ModelCard) -> None:
    """Puts the model into the index folder, whole or not at all."""
    part = folder / f".{MODEL}.part"
    save_model(part, model, card)
    with disk(folder):
        part.replace(folder / MODEL)
