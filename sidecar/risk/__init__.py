"""What is held in memory about what was seen before."""
