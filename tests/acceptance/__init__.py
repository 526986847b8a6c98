"""A package, so that the fixtures of this folder end with its last test."""
