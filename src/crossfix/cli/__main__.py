"""`python -m crossfix.cli`: the same as `crossfix`."""

from __future__ import annotations

import sys

from crossfix.cli.app import main

sys.exit(main())
