"""Geodesy, tile arithmetic, cameras over flat ground, and what photos say of themselves; knows nothing of models."""
