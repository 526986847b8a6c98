"""The checks of `maskrelay doctor`: one module for each thing that the service depends on."""
