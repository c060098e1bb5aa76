"""Tests of sidecar.risk."""
