"""The store: SQLAlchemy Core statements beside the functions that return their rows, for both engines."""
