"""Operators' commands: `maskrelay doctor`, `audit`, `endpoint`. Each module adds its command by an entry point."""
