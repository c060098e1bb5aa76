"""The access package: who asks, and what they may."""
