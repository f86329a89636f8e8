"""What identity knows, without any I/O."""
