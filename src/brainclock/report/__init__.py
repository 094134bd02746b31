"""Figures and pages; the only room that draws."""
