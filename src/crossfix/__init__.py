"""crossfix tells where a photo was taken by matching it with overhead imagery."""

__version__ = "0.1.0"
