"""Finding entries: a projection of the log that can be dropped and made anew."""
