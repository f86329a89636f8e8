"""Straight to MX: which servers take a domain's mail, and connections to them (docs/adr/0032)."""
