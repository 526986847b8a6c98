"""Stands in for MLflow in the real server's environment, where the lean deployment's script loads its model."""
