"""What a training run needs of its pairs, wherever they come from, and of whoever chooses which of them make a batch.

Axes: N training pairs, J pairs of a batch, B those of them whose pictures a process has, Q queries and G gallery pictures of the
validation, H W pixels, C = 3 RGB channels.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch

from crossfix.train.overlap import Poses

if TYPE_CHECKING:
    from crossfix.train.training_clouds import CloudDraw

Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]
Side = Literal["query", "satellite", "ground"]
"""Whose pictures; "ground" are panoramas beside drone pictures, which are the queries then."""
Part = tuple[int, int]
"""The first row of a micro-batch that counts, and how many do; of `WHOLE`, all."""
WHOLE: Part = (0, sys.maxsize)


@dataclass(frozen=True)
class PairBatch:
    """One micro-batch as stored. Of several processes each has a part of its pictures; what is known of them is known to all.

    Attributes:
        query_BHWC: panoramas or drone pictures, uint8.
        satellite_BHWC: uint8, square, north up, wider than the chip by the source's margin.
        place_J: place of each pair; rows of one place are not each other's negatives.
        ids: name of each pair's pictures, for messages.
        heading_B: of the drone pictures, degrees clockwise from north, float32, where they are known.
        poses: of the drone pictures, where they are known.
        neutral_JJ: bool, whether satellite picture j is neither right nor wrong for query i; None: none is.
        first: row of the micro-batch whose pictures are the first ones.
        ground_GHWC: panoramas of some pairs, uint8, where drone pictures and they are trained on together.
        ground_row_G: which pairs they are of.
        camera_B34: cameras of the drone pictures, float32, see `Built.cameras_V34`, NaN where not known; None where no cloud tells any.
        eye_G3: where the panoramas were taken, metres east and north of the middle of the place's satellite picture and above ground,
            float32, NaN where not known; None where nobody asks.
        sighted_GS4: points of the panoramas and where the satellite squares show them, see `PairBank.truth`; None where nobody knows any.
    """

    query_BHWC: Bytes
    satellite_BHWC: Bytes
    place_J: Rows
    ids: tuple[str, ...]
    heading_B: npt.NDArray[np.float32] | None = None
    poses: Poses | None = None
    neutral_JJ: npt.NDArray[np.bool_] | None = None
    first: int = 0
    ground_GHWC: Bytes | None = None
    ground_row_G: Rows | None = None
    camera_B34: npt.NDArray[np.float32] | None = None
    eye_G3: npt.NDArray[np.float32] | None = None
    sighted_GS4: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Validation:
    """Queries and a gallery of held-out places.

    Attributes:
        own_QG: bool, which gallery pictures are right for each query; at least one.
        places: number of places.
        read: pictures of a side by their rows, (rows, H, W, 3) uint8.
        side: of the queries.
        panoramas: whether they show the horizon around, and are turned by rolling.
    """

    own_QG: npt.NDArray[np.bool_]
    places: int
    read: Callable[[Side, Rows], Bytes]
    side: Side = "query"
    panoramas: bool = False


class PairSource(Protocol):
    """Training pairs and validation pictures.

    Attributes:
        place_N: place of each training pair, as whole numbers.
        world_N: the world or town each training pair lies in, for samplers that keep neighbours together; None where nobody knows.
        apart_NS: places, numbered as in ``place_N``, that are neither right nor wrong for each training pair, padded with -1; None where
            there are none.
        position_N3: of each training pair in metres, in space: neighbours are near by their straight distance; None where nobody knows.
        satellite_margin: how many sides of the chip a stored satellite picture spans.
        validation: the held-out places.
        ground: the held-out places with their panoramas as queries, read as the side "ground"; None where there are none besides.
        clouds: point clouds of the places; None where none are wanted.
        about: what it is, for the model's card.
    """

    place_N: Rows
    world_N: Rows | None
    apart_NS: Rows | None
    position_N3: npt.NDArray[np.float64] | None
    satellite_margin: float
    validation: Validation
    ground: Validation | None
    clouds: CloudDraw | None
    about: str

    def read(self, row_J: Rows, number: int, part: Part = WHOLE) -> PairBatch:
        """The pairs of micro-batch ``number``, with the pictures of a part of them.

        What a pair's pictures are may depend on the rows and the number, and on nothing else.
        """
        ...

    def pictures(self, side: Side, row_B: Rows) -> Bytes:
        """One picture of each training pair, always the same: what mining describes."""
        ...


Embed = Callable[[], tuple[torch.Tensor, torch.Tensor]]
"""Describes all training pairs with the model as it stands: (N, D) of the queries and (N, D) of the satellite pictures, on the CPU."""


class Sampler(Protocol):
    """Chooses the training pairs of every micro-batch.

    Attributes:
        batches_per_epoch: micro-batches of an epoch, always as many.
        known: the rows of micro-batches below this number are settled; they may be read ahead. A sampler that looks at the model settles an
            epoch in `begin`.
    """

    @property
    def batches_per_epoch(self) -> int: ...  # noqa: D102
    @property
    def known(self) -> int: ...  # noqa: D102

    def begin(self, epoch: int, embed: Embed) -> None:
        """Get ready for an epoch (from 0). Called before its first micro-batch, and again where a killed run goes on in its middle.

        The model is another one then: what was made of it has to be kept on disk, and found there again.
        """
        ...

    def rows(self, number: int) -> Rows:
        """The training pairs of micro-batch ``number`` (from 0), below `known`: (B,) rows of the source, no place twice."""
        ...
