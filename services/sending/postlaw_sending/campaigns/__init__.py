"""Campaigns: what is sent to a list, from the draft to the last recipient's final state (design §4)."""
