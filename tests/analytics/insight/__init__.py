"""Tests of analytics/insight."""
