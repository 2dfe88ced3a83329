"""Worlds written in the benchmarks' own trees, so that every loader and protocol runs with nothing downloaded."""
