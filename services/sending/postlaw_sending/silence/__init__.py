"""Who has given no sign for long, of those who allow that signs of theirs are known (docs/adr/0038-the-long-silent.md)."""
