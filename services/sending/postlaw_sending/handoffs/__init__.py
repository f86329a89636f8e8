"""Hand-offs held against what others say of them: the relay's own log, and what came back."""
