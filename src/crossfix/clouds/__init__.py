"""Point clouds of places: made from drone views, sampled for a network, compared, drawn, read and written."""

from crossfix.clouds.cloud import Cloud
from crossfix.clouds.files import read_cloud, write_cloud
from crossfix.clouds.sampling import sample

__all__ = ["Cloud", "read_cloud", "write_cloud", "sample"]
