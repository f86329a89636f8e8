"""What looks like an intrusion, when the events that the log has are seen together."""
