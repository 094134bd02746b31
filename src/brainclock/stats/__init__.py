"""Pure functions on arrays. Knows no torch and no files."""
