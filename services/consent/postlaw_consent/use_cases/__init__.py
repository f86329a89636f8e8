"""What this service does, a file a verb where it decides something."""
