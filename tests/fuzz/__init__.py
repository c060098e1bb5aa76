"""Texts made by chance, to find what crashes or slows inspection: `make fuzz`."""
