"""Training: typed recipes, pairs from worlds or data sets with augmentation, and a loop that resumes exactly."""
