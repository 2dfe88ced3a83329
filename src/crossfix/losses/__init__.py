"""Losses: contrastive learning between views."""

from __future__ import annotations

from crossfix.losses.contrastive import InfoNCE

__all__ = ["InfoNCE"]
