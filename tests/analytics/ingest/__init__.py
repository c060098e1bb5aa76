"""Tests of analytics/ingest."""
