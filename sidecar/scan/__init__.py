"""`douane scan`: texts, files and JSON lines through the same line that requests go down."""
