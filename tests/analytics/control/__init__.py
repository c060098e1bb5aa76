"""What analytics tells sidecars."""
