"""The `crossfix` command: one module a verb; parses, calls, prints; no logic."""

from crossfix.cli.app import main

__all__ = ["main"]
