"""What the learned tier is trained on: phrase banks, and what makes texts of them."""
