"""Tests of analytics/store."""
