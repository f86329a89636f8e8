"""Entities and rules: no I/O, the standard library alone."""
