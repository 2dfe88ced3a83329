"""Training: typed recipes, batches of world pairs with augmentation, and a loop that resumes exactly."""
