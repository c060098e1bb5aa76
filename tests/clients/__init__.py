"""Real clients, unmodified, through every door: what a program in any language meets."""
