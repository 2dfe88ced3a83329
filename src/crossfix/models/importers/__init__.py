"""Checkpoints of other projects become model folders: one file a format, one registry."""
