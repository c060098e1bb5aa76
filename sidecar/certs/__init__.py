"""Certificates: Douane's own authority, the leaves it issues, the bundles clients trust, and Envoy's questions for them (SDS)."""
