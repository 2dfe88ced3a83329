"""The average of two models' weights: what was learnt in a further training, without losing what it came from.

Source: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022 (WiSE-FT), section 3. It works where one model was
trained on from the other, so that no hill lies between them; of two trained apart the average is useless.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from crossfix.errors import ModelError
from crossfix.models.card import ModelCard
from crossfix.models.gengeo import GenGeo, build, fitted
from crossfix.models.registry import open_model


def average_models(first: str | Path, second: str | Path, share: float = 0.5) -> tuple[GenGeo, ModelCard]:
    """A model whose every weight and running average lies between those of two others.

    Args:
        first: name or folder of the model that was trained on from.
        second: of the model that came of it. How pictures are prepared, and what else a card says, is its.
        share: of the second model in each weight, 0 to 1.

    Returns:
        (model, card): in evaluation mode; the card holds no figures, which are to be measured anew, and both licences.

    Raises:
        ModelError: if there is no such model, they are of different networks, or the share is none.
    """
    if not 0 <= share <= 1:
        raise ModelError(f"share is {share:g}", where="average", mend="give 0 to 1, the second model's part")
    (one, one_card), (other, other_card) = open_model(first), open_model(second)
    mine, theirs = one.state_dict(), other.state_dict()
    try:
        mine = fitted(theirs, mine)
    except ModelError as misfit:
        raise ModelError(
            f"they are different networks: {misfit.what}",
            where=f"{first} and {second}",
            mend="average a model with its own further training",
        ) from misfit
    model = build(other_card.architecture)
    model.load_state_dict(
        {name: torch.lerp(mine[name], value, share) if value.is_floating_point() else value for name, value in theirs.items()}
    )
    licences = sorted({one_card.licence, other_card.licence})
    card = dataclasses.replace(
        other_card,
        description=f"{other_card.description} Weights averaged with those of {one_card.name} ({one_card.sha256[:8]}).".strip(),
        recipe={**other_card.recipe, "averaged": {"with": one_card.sha256, "share": share}},
        metrics={},
        licence=" AND ".join(licences),
        head_trained=one_card.head_trained and other_card.head_trained,
        sha256="",
    )
    return model.eval(), card
