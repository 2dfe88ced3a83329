"""Products of every query with every gallery image: fast in float32, block by block, and exact for the few pairs where it matters.

Float32 matrix products round differently by position in the matrix: two copies of one descriptor may score apart by some 1e-7, and a tie
would be decided by chance. So whoever compares scores takes only differences beyond a block's ``rounding`` from the fast products, and asks
`Similarity.exact` about the rest: float64, each pair by itself, equal for equal descriptors.

Axes: Q queries, R descriptors a query (turned copies; the best one counts), G gallery images, D entries, B and C the queries and gallery
images of a block, N pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]
Doubles = npt.NDArray[np.float64]
_Scores = TypeVar("_Scores", npt.NDArray[np.float32], npt.NDArray[np.float64])

TIE = 1e-9  # float64 products of equal descriptors agree to 1e-15, those of different float32 ones differ by far more
LEFT_OUT = -2.0  # below every score: scores are scaled into [-1, 1], infinite ones to 1.5
NOT_A_NUMBER = 2.0  # above every score
BLOCK_BYTES = 16 << 20
_EPS = float(np.finfo(np.float32).eps)
_LEAST_ROUNDING = 16 * _EPS
_PROBES = 256
_CHUNK_BYTES = 512 << 10  # of float64 rows at a time: stays in the processor's cache
_QUERIES = 1024  # of a block: enough for the product to outweigh the copy of the gallery's block


@dataclass(frozen=True)
class Block:
    """A block of the matrix of cosines.

    Attributes:
        queries: rows of the queries.
        gallery: rows of the gallery.
        sim_BC: float32 cosines; NaN where a descriptor is.
        kept: what one who looks at the block leaves for others who would work out the same.
    """

    queries: slice
    gallery: slice
    sim_BC: npt.NDArray[np.float32]
    kept: dict[str, list[npt.NDArray[np.float32]]] = field(default_factory=dict)


class Similarity:
    """The matrix of similarities, never held as a whole.

    Args:
        query: (Q, D), or (Q, R, D).
        gallery: (G, D); may be mapped from a file. Neither is copied as a whole.
        block_bytes: about the size of a block's matrix.
    """

    def __init__(self, query: Floats, gallery: Floats, *, block_bytes: int = BLOCK_BYTES) -> None:
        self.query_QRD = query[:, None] if query.ndim == 2 else query
        self.gallery_GD = gallery
        self.block_bytes = block_bytes
        turns, dim = self.query_QRD.shape[1:]
        self.query_norm_QR = _norms(self.query_QRD.reshape(-1, dim)).reshape(-1, turns)
        self.gallery_norm_G = _norms(gallery)
        self.kept: dict[bytes, Doubles] = {}
        self.finite = bool(np.isfinite(self.query_norm_QR).all() and np.isfinite(self.gallery_norm_G).all())

    def blocks(self, progress: Callable[[int, int], None] | None = None) -> Iterator[Block]:
        """All blocks, the gallery's in order within each of the queries'. A block's scores last until the next is asked for.

        Args:
            progress: told the queries done and all of them.
        """
        queries, turns, dim = self.query_QRD.shape
        step_B = max(1, min(_QUERIES // turns, queries, self.block_bytes // (8 * dim * turns)))
        step_C = max(1, self.block_bytes // (4 * max(dim, step_B * turns)))
        kept: tuple[int, npt.NDArray[np.float32]] | None = None
        scratch = Scratch()
        for first in range(0, queries, step_B):
            rows = slice(first, min(first + step_B, queries))
            query_BD = _unit(self.query_QRD[rows].reshape(-1, dim), self.query_norm_QR[rows].reshape(-1))
            for start in range(0, len(self.gallery_GD), step_C):
                part = slice(start, min(start + step_C, len(self.gallery_GD)))
                if kept is None or kept[0] != start:
                    kept = start, _unit(self.gallery_GD[part], self.gallery_norm_G[part])
                with np.errstate(invalid="ignore", over="ignore"):
                    product = np.matmul(query_BD, kept[1].T, out=scratch.shaped(len(query_BD), len(kept[1])))
                sim = product.reshape(rows.stop - rows.start, turns, -1)
                yield Block(rows, part, sim[:, 0] if turns == 1 else sim.max(axis=1))
            if progress is not None:
                progress(rows.stop, queries)

    def cosines(self, query_N: Ints, gallery_N: Ints) -> Doubles:
        """Cosines of single pairs in float64, the best of a query's turns; NaN where a descriptor is."""
        turns, dim = self.query_QRD.shape[1:]
        step = max(1, _CHUNK_BYTES // (8 * dim * turns))
        parts = [np.empty(0)]
        for first in range(0, len(query_N), step):
            query, gallery = query_N[first : first + step], gallery_N[first : first + step]
            query_NRD = self.query_QRD[query].astype(np.float64)
            with np.errstate(invalid="ignore", over="ignore"):
                dot_NR = np.einsum("nrd,nd->nr", query_NRD, self.gallery_GD[gallery].astype(np.float64))
                parts.append(self._best(dot_NR, self.query_norm_QR[query], gallery))
        return np.concatenate(parts)

    def cosines_row(self, query: int, gallery_N: Ints) -> Doubles:
        """Cosines of one query in float64, (N,): `cosines`, faster for many images of one query."""
        query_RD = self.query_QRD[query].astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            dot_NR = self.gallery_GD[gallery_N].astype(np.float64) @ query_RD.T
            return self._best(dot_NR, self.query_norm_QR[query], gallery_N)

    def _best(self, dot_NR: Doubles, query_norm: Doubles, gallery_N: Ints) -> Doubles:
        """Products divided by both norms, of a query's descriptors the best."""
        dot_NR /= _divisor(query_norm)
        dot_NR /= _divisor(self.gallery_norm_G[gallery_N])[:, None]
        best_N: Doubles = dot_NR.max(axis=1)
        return best_N


class Scratch:
    """Memory for a block's scores that is used again: fresh pages would cost more than the arithmetic."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.float32)

    def shaped(self, rows: int, columns: int) -> npt.NDArray[np.float32]:
        """A float32 array (rows, columns), its contents left over from before."""
        if self._memory.size < rows * columns:
            self._memory = np.empty(rows * columns, np.float32)
        return self._memory[: rows * columns].reshape(rows, columns)


class View:
    """Scores as a protocol sees them: cosines or plain products, some gallery images left out.

    Products of a query are divided by its own norm and by the gallery's greatest, which changes no order and keeps them in [-1, 1].

    Args:
        similarity: of what.
        unit: cosines; otherwise plain products, as scripts have them that trust descriptors to have unit norm.
        left_out_G: which gallery images nobody shall see, bool.
        nan_first: whether a score that is not a number stands above all others (numpy sorts so), or below.
    """

    def __init__(
        self, similarity: Similarity, *, unit: bool, left_out_G: npt.NDArray[np.bool_] | None = None, nan_first: bool = False
    ) -> None:
        self.similarity = similarity
        self.left_out_G = left_out_G if left_out_G is not None and left_out_G.any() else None
        self.nan = NOT_A_NUMBER if nan_first else LEFT_OUT
        norm_G = similarity.gallery_norm_G
        seen_G = norm_G if self.left_out_G is None else norm_G[~self.left_out_G]
        seen_G = seen_G[np.isfinite(seen_G) & (seen_G > 0)]
        greatest = float(seen_G.max()) if len(seen_G) else 1.0
        self.weight_G = None if unit else np.where(np.isfinite(norm_G), norm_G, greatest) / greatest
        # norms that differ by rounding alone are not worth weighing: ``rounding`` covers them
        alike = self.weight_G is None or bool(np.abs(self.weight_G - 1).max() <= 4 * _EPS)
        self._weight32_G = None if alike or self.weight_G is None else self.weight_G.astype(np.float32)
        self._scratch = Scratch()

    def fast(self, block: Block) -> tuple[npt.NDArray[np.float32], float]:
        """A block's scores, and the difference up to which they cannot be told apart.

        The caller may change the scores; the next call writes over them.

        That difference is measured: eight times the greatest error of some pairs all over the block, at least 16 float32 steps.

        Returns:
            scores (B, C) float32 and the rounding.
        """
        sim_BC = self._scratch.shaped(*block.sim_BC.shape)
        with np.errstate(invalid="ignore"):
            np.multiply(block.sim_BC, 1 if self._weight32_G is None else self._weight32_G[block.gallery], out=sim_BC)
        rows, columns = sim_BC.shape
        count = min(_PROBES, rows * columns)
        row_N = np.linspace(0, rows - 1, count).astype(np.int64)
        column_N = (np.linspace(0, columns - 1, count).astype(np.int64) * 97 + np.arange(count)) % columns
        column_N[-1] = columns - 1
        exact_N = self.exact(row_N + block.queries.start, column_N + block.gallery.start)
        self._clean(sim_BC)
        error = float(np.abs(sim_BC[row_N, column_N] - exact_N).max())
        if self.left_out_G is not None:
            sim_BC[:, self.left_out_G[block.gallery]] = LEFT_OUT
        return sim_BC, max(_LEAST_ROUNDING, 8 * error)

    def digest(self) -> bytes:
        """Views of one similarity with the same digest give the same fast scores."""
        parts = [b"" if part is None else part.tobytes() for part in (self._weight32_G, self.left_out_G)]
        return b" ".join([*parts, b"" if self.similarity.finite else str(self.nan).encode()])

    def exact(self, query_N: Ints, gallery_N: Ints, *, nan: float | None = None) -> Doubles:
        """Scores of single pairs in float64.

        Args:
            query_N: row of each pair's query.
            gallery_N: row of each pair's gallery image.
            nan: stands for scores that are not a number; by default what the view says.

        Returns:
            (N,) scores; equal descriptors score equal to `TIE`.
        """
        score_N = self.similarity.cosines(query_N, gallery_N)
        return self._weighted(score_N, gallery_N, nan)

    def exact_row(self, query: int, gallery_N: Ints) -> Doubles:
        """Scores of one query in float64, (N,): `exact`, faster for many images of one query."""
        return self._weighted(self.similarity.cosines_row(query, gallery_N), gallery_N)

    def _weighted(self, score_N: Doubles, gallery_N: Ints, nan: float | None = None) -> Doubles:
        if self.weight_G is not None:
            score_N *= self.weight_G[gallery_N]
        return self._clean(score_N, nan)

    def exact_kept(self, query_P: Ints, gallery_P: Ints) -> Doubles:
        """Scores of single pairs in float64, (P,), those that are not a number above all others; see `exact`.

        Cosines are kept for the next view of the same similarity.
        """
        kept, key = self.similarity.kept, hashlib.sha256(query_P.tobytes() + gallery_P.tobytes()).digest()
        if key not in kept:
            kept[key] = self.similarity.cosines(query_P, gallery_P)
        score_P = kept[key] * (1.0 if self.weight_G is None else self.weight_G[gallery_P])
        return self._clean(score_P, NOT_A_NUMBER)

    def exact_part(self, queries: slice, gallery: slice) -> Doubles:
        """All scores of some queries with some gallery images in float64, (B, C), the left-out ones included."""
        similarity = self.similarity
        dim = similarity.query_QRD.shape[2]
        query_QD = similarity.query_QRD[queries].reshape(-1, dim).astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            query_QD /= _divisor(similarity.query_norm_QR[queries].reshape(-1))[:, None]
            gallery_CD = similarity.gallery_GD[gallery].astype(np.float64)
            gallery_CD /= _divisor(similarity.gallery_norm_G[gallery])[:, None]
            sim: Doubles = (query_QD @ gallery_CD.T).reshape(queries.stop - queries.start, -1, len(gallery_CD)).max(axis=1)
        if self.weight_G is not None:
            sim *= self.weight_G[gallery]
        return self._clean(sim)

    def tie_of(self, gallery_N: Ints) -> Doubles:
        """The difference up to which scores tie with those of some gallery images, (N,)."""
        return np.full(len(gallery_N), TIE) if self.weight_G is None else TIE * self.weight_G[gallery_N]

    def _clean(self, score: _Scores, nan: float | None = None) -> _Scores:
        """Put finite numbers in the place of all that is not, where there can be such."""
        if not self.similarity.finite:
            stand_in = self.nan if nan is None else nan
            np.copyto(score, np.where(np.isnan(score), stand_in, np.clip(score, -1.5, 1.5)))
        return score


def _norms(desc_ND: Floats) -> Doubles:
    step = max(1, _CHUNK_BYTES // (8 * desc_ND.shape[1]))
    norm_N = np.empty(len(desc_ND))
    with np.errstate(invalid="ignore", over="ignore"):
        for first in range(0, len(desc_ND), step):
            wide = desc_ND[first : first + step].astype(np.float64)
            norm_N[first : first + step] = np.sqrt(np.einsum("nd,nd->n", wide, wide))
    return norm_N


def _divisor(norm: Doubles) -> Doubles:
    """Norms to divide by: 1 where there is none."""
    return np.where(np.isfinite(norm) & (norm > 0), norm, 1.0)


def _unit(desc_ND: Floats, norm_N: Doubles) -> npt.NDArray[np.float32]:
    # float16 has too few digits to divide in; float64 may hold what float32 cannot
    wide = desc_ND if desc_ND.dtype.itemsize >= 4 else desc_ND.astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        unit: npt.NDArray[np.float32] = (wide / _divisor(norm_N).astype(wide.dtype)[:, None]).astype(np.float32, copy=False)
    return unit
