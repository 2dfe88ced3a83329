"""One hierarchy of errors: what happened, where, and how to mend it.

Every failure a user can cause is raised as a :class:`CrossfixError`. The commands print its one sentence and leave with its exit code;
anything else that escapes is a bug.
"""

from __future__ import annotations

from pathlib import Path


class CrossfixError(Exception):
    """An error a user can understand and mend.

    Args:
        what: what is wrong, without a full stop.
        where: the file, folder, option or value that is at fault.
        mend: what to do about it, without a full stop.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str | Path | None = None, mend: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.mend = mend
        sentence = what if self.where is None else f"{self.where}: {what}"
        super().__init__(sentence if mend is None else f"{sentence}; {mend}")


class InputError(CrossfixError):
    """An option or value that makes no sense: out of range, contradictory, missing."""


class PhotoError(CrossfixError):
    """A photo that cannot be read or holds nothing to match."""


class RasterError(CrossfixError):
    """A raster that cannot be read or placed on Earth."""


class MapIndexError(CrossfixError):
    """A map index that is missing, damaged, or made by another model."""


class ModelError(CrossfixError):
    """A model that is unknown, damaged, or cannot take this input."""


class DataError(CrossfixError):
    """A data set whose folders or files are not as its layout says."""


class RunError(CrossfixError):
    """A training or evaluation run that cannot go on: changed config, damaged checkpoint, loss that is not finite."""


class DiskError(CrossfixError):
    """Writing failed: disk full, folder not writable."""
