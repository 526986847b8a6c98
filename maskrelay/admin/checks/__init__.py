"""What `maskrelay doctor` looks at: a module for each thing the service depends on."""
