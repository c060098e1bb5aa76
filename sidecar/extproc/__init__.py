"""Envoy's side: sockets (server), words (codec), and the order of things (exchange)."""
