"""Sender domains: what a customer may mail from, checked in the DNS, and the keys that its messages are signed with. Why so: ADR 0029."""
