"""Photo and map index to a fix: retrieve, correlate, register, weigh."""
