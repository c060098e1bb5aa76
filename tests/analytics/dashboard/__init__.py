"""Tests of analytics/dashboard."""
