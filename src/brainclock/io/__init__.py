"""Files to values and back. Knows no torch."""
