"""Dials that make pictures worse before they are described: weather, sensor, heading, field of view, misalignment, occlusion."""
