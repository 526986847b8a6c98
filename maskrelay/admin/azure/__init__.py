"""Manage an endpoint through Azure's control plane: the specification, the calls, and the meaning of errors."""
