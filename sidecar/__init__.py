"""Douane's sidecar: Envoy's external processor, and the command line that runs the whole installation."""
