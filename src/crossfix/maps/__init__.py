"""Georeferenced rasters as one map, and the square chips that are cut from it."""
