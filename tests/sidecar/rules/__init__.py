"""Tests of `douane rules`."""
