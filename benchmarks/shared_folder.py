"""Where real imagery and weights lie, for benchmarks that need them."""

from __future__ import annotations

import os
from pathlib import Path


def shared() -> Path:
    """The folder of real imagery and weights: CROSSFIX_SHARED, or `shared` beside the repository."""
    folder = Path(os.environ.get("CROSSFIX_SHARED", Path(__file__).resolve().parents[1].parent / "shared"))
    if not (folder / "data" / "README.md").is_file():
        raise SystemExit(f"{folder}: no real imagery there; set CROSSFIX_SHARED")
    return folder
