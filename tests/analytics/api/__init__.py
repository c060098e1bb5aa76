"""Tests of analytics/api."""
