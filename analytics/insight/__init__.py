"""Insight: what the numbers of a window mean. Pure functions of values; no store, no clock."""
