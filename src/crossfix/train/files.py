"""Reading the files of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crossfix.errors import RunError


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a run.

    Raises:
        RunError: where it cannot be read or is no object.
    """
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"cannot be read ({error})", where=path, mend="start again in an empty folder") from error
    if not isinstance(value, dict):
        raise RunError("holds no JSON object", where=path, mend="start again in an empty folder")
    return value
