"""A language model's second opinion on a subject: off unless it is switched on, a warning at most, and asked nothing of anybody's."""
