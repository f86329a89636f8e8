"""What identity does, a verb or a noun a module."""
