"""What an operator types: `maskrelay doctor`, `audit`, `endpoint`; each module adds its command by an entry point."""
