"""Ingest: records come up from sidecars over gRPC, are read into our words, and stored before they are acknowledged."""
