"""A stand-in provider, so that Douane can be tried without a key. It says what it is in every answer."""
