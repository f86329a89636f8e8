"""Mail law as data, and what follows from it for one message to one person. Pure: no I/O but in loading.py."""
