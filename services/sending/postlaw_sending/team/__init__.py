"""Addresses of a customer's own people: where tests go, and seeds."""
