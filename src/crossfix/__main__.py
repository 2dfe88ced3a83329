"""`python -m crossfix`: the same as `crossfix`."""

from __future__ import annotations

import sys

from crossfix.cli.app import main

sys.exit(main())
