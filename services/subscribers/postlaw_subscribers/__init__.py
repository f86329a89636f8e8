"""Subscribers: people, their addresses, profiles and lists; keeper of each person's two keys."""
