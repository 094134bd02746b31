"""A raw head becomes a volume on the model grid, one file a step."""
