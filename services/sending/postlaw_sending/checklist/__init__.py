"""What is looked at before a campaign may start (promise M7)."""
