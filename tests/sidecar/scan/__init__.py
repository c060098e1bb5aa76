"""Tests of `douane scan`."""
