"""The data sets that worlds can be written as."""

from __future__ import annotations

import importlib
from pathlib import Path

from crossfix.errors import InputError
from crossfix.worlds.sets.plan import SetPlan, SetWriter

WRITERS = {
    "cvusa": "CvusaWriter",
    "cvact": "CvactWriter",
    "vigor": "VigorWriter",
    "university1652": "University1652Writer",
    "sues200": "Sues200Writer",
    "denseuav": "DenseUavWriter",
    "gtauav": "GtaUavWriter",
    "uavvisloc": "UavVisLocWriter",
}
"""Writer classes by the name of the data set, each in a module of that name."""


def writer(name: str, root: Path, plan: SetPlan) -> SetWriter:
    """The writer of a data set.

    Args:
        name: of the data set.
        root: the folder to write.
        plan: what it is to hold.

    Raises:
        InputError: where worlds cannot be written as this, or the plan does not fit it.
    """
    if name not in WRITERS:
        raise InputError("worlds cannot be written as this data set", where=name, mend=f"choose one of {', '.join(WRITERS)}")
    made: SetWriter = getattr(importlib.import_module(f"crossfix.worlds.sets.{name}"), WRITERS[name])(root, plan)
    return made
