"""Benchmarks on disk as views of places: one module a layout."""
