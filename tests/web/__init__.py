"""A package, so that the stack and the browser of this folder end with its last test."""
