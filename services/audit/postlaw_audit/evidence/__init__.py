"""Answers that can be checked elsewhere: why somebody was mailed, what came of their opt-out, who looked at their data."""
