"""`douane rules`: the rules in force, and users' packs put to the test."""
