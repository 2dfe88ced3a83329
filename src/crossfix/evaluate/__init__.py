"""Measuring models: retrieval scores with intervals, and the baselines to beat."""
