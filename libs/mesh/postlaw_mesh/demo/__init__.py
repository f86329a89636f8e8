"""`postlaw demo`: the main job, run for real in under two minutes, and held against the law at its end."""
