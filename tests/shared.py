"""Real imagery and weights that lie beside the repository on some machines; tests that need them skip where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(os.environ.get("CROSSFIX_SHARED", Path(__file__).resolve().parents[2] / "shared"))

SHARED: Path | None = _ROOT if (_ROOT / "data" / "README.md").is_file() else None

needs_shared = pytest.mark.skipif(SHARED is None, reason=f"real imagery is not at {_ROOT} (set CROSSFIX_SHARED)")
