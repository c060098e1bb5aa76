"""The documentation that is generated from the code, and the test that it is fresh."""
