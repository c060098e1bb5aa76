"""Tests of analytics/live."""
