"""Networks that describe pictures: encoders, aggregators, GenGeo, model folders, and the registry of named models."""
