"""Tests of analytics/schedule."""
