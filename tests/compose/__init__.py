"""The images and the compose file: what must stay true of them whoever edits them."""
