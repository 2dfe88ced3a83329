"""Why a model finds two pictures alike: which of their tokens go to which shared cluster, and what each cluster adds to the similarity.

Axes: M clusters, N tokens, R and C rows and columns of tokens, D entries of a descriptor, L features of a cluster, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from crossfix.errors import ModelError
from crossfix.models.card import ModelCard
from crossfix.models.describe import fit
from crossfix.models.gengeo import GenGeo, ViewKind
from crossfix.models.overhead import fill_of, headings, overhead, spanned_deg
from crossfix.models.salad import Salad

Pixels = npt.NDArray[np.uint8]
_SHOWN_PX = 512  # side of a picture from the ground that is redrawn
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Assigned:
    """A picture and where its tokens went.

    Attributes:
        pixels: (H, W, 3), the part of the picture that the model saw.
        plan_MRC: mass that each cluster took of each token, tokens as they lie in `pixels`; 1 less the sum over clusters was left out.
    """

    pixels: Pixels
    plan_MRC: Floats

    @property
    def kept_of_token(self) -> Floats:
        """Mass of each token that reached clusters, 0 to 1, (R, C)."""
        kept_RC: Floats = self.plan_MRC.sum(0)
        return kept_RC

    @property
    def kept(self) -> float:
        """Share of the whole picture that reached clusters, 0 to 1."""
        return float(self.kept_of_token.mean())


@dataclass(frozen=True)
class Explanation:
    """What two pictures have in common for a model.

    Attributes:
        model_id: the model's name.
        dustbin: form of its dustbin, see `Salad`.
        photo: the query, turned as it was found most like the chip, and where its tokens went.
        chip: the satellite picture and where its tokens went.
        turn_deg: that turn, counter-clockwise, in quarter turns; 0 for models that know any heading.
        similarity: cosine of their descriptors.
        global_part: what the global part of the descriptors adds to it.
        cluster_parts_M: what each cluster adds to it; with the global part they sum to the similarity.
        redrawn: the photo, from the ground, was redrawn as seen from above, its middle ``turn_deg`` clockwise from up.
    """

    model_id: str
    dustbin: str
    photo: Assigned
    chip: Assigned
    turn_deg: int
    similarity: float
    global_part: float
    cluster_parts_M: Floats
    redrawn: bool = False

    @property
    def turned(self) -> str:
        """The photo's turn in words; empty if there was none."""
        if self.redrawn:
            return f"redrawn as seen from above, its middle {self.turn_deg}° clockwise from up"
        return {90: "photo turned 90° to the left", 180: "photo turned upside down", 270: "photo turned 90° to the right"}.get(
            self.turn_deg, ""
        )

    @property
    def ranked(self) -> list[int]:
        """Clusters by what they add, most first."""
        return [int(j) for j in np.argsort(-self.cluster_parts_M, kind="stable")]

    def share(self, part: float) -> float | None:
        """A part as a share of the similarity; None where that is not above 0 and shares make no sense."""
        return part / self.similarity if self.similarity > 0 else None

    def to_dict(self) -> Mapping[str, Any]:
        """The explanation as JSON values, clusters by what they add."""
        parts = [
            {
                "cluster": j,
                "part": float(self.cluster_parts_M[j]),
                "share": self.share(float(self.cluster_parts_M[j])),
                "photo_mass": float(self.photo.plan_MRC[j].sum()),
                "chip_mass": float(self.chip.plan_MRC[j].sum()),
            }
            for j in self.ranked
        ]
        return {
            "model": self.model_id,
            "dustbin": self.dustbin,
            "similarity": self.similarity,
            "turn_deg": self.turn_deg,
            "kept": {"photo": self.photo.kept, "chip": self.chip.kept},
            "global": {"part": self.global_part, "share": self.share(self.global_part)},
            "clusters": parts,
        }


def explain(model: GenGeo, card: ModelCard, photo: Pixels, chip: Pixels, *, ground: bool = False) -> Explanation:
    """Compare two pictures and keep track of what led to their similarity, in float32.

    Args:
        model: a network with a SALAD head, on the CPU in evaluation mode.
        card: its card.
        photo: (H, W, 3) RGB, the query. Its middle square is taken, and turned by quarter turns as the card asks for.
        chip: (H, W, 3) RGB, the satellite picture; likewise its middle square, north up.
        ground: the photo was taken from the ground: all of it is taken, as the card says, and it is not turned.

    Raises:
        ModelError: if the model's head is another, or a descriptor is not finite.
    """
    head = model.head_of("query")
    if not isinstance(head, Salad):
        raise ModelError(
            f"its head is {model.config.head.kind}: only SALAD assigns tokens to clusters",
            where=card.name,
            mend="choose a model with a SALAD head, such as gengeo-tiny",
        )
    pre = card.preprocessing
    chip = _middle_square(chip)
    chip_D, chip_MRC = _look(model, card, fit(chip, pre.px), "satellite")
    view: ViewKind = "ground" if ground else "query"
    drawn, middles = None, [0.0]
    if ground and pre.ground_fit == "overhead":
        drawn = partial(overhead, photo, fill=fill_of(pre.mean), fov_deg=spanned_deg(photo))
        middles = headings(card.query_turns > 1)
        seen = [drawn(pre.px, middle_deg=middle) for middle in middles]
    elif ground:
        seen = [fit(photo, pre.ground_hw or pre.px, pre.ground_fit)]
    else:
        photo = _middle_square(photo)
        seen = [fit(np.ascontiguousarray(np.rot90(photo, turn)), pre.px) for turn in range(card.query_turns)]
    looks = [_look(model, card, pixels, view) for pixels in seen]
    turn = int(np.argmax([desc_D @ chip_D for desc_D, _ in looks]))
    photo_D, photo_MRC = looks[turn]
    clusters = head.clusters
    global_dim = head.out_dim - clusters * head.feature_dim
    product_D = photo_D * chip_D
    return Explanation(
        card.name,
        head.form,
        Assigned(drawn(_SHOWN_PX, middle_deg=middles[turn]) if drawn else np.rot90(photo, turn), photo_MRC),
        Assigned(chip, chip_MRC),
        round(middles[turn]) if drawn else 90 * turn,
        float(product_D.sum()),
        float(product_D[:global_dim].sum()),
        product_D[global_dim:].reshape(head.feature_dim, clusters).sum(0),
        drawn is not None,
    )


def _look(model: GenGeo, card: ModelCard, pixels: Pixels, kind: ViewKind) -> tuple[Floats, Floats]:
    """Descriptor (D,) and plan (M, R, C) of a picture of the model's input size."""
    pre = card.preprocessing
    img_HWC = (torch.tensor(pixels).float() / 255 - torch.tensor(pre.mean)) / torch.tensor(pre.std)
    img_BCHW = img_HWC.permute(2, 0, 1).unsqueeze(0)
    head = model.head_of(kind)
    assert isinstance(head, Salad)
    with torch.inference_mode():
        tok_BND, cls_BD = model.encoder_of(kind)(img_BCHW)
        plan_MN = head.assign(tok_BND)[0].numpy()
        desc_D = head(tok_BND, cls_BD)[0].numpy()
    if not np.isfinite(desc_D).all():
        raise ModelError("the descriptor is not finite", where=card.name, mend="check the model's weights")
    return desc_D, plan_MN.reshape(-1, *model.encoder.grid(*pixels.shape[:2]))


def _middle_square(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]
