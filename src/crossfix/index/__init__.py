"""Map indices: built in streams, kept in folders that refuse damage, searched exactly."""
