"""Compliance reports: one query of the log and one template each, signed, and made again by whoever has the log."""
