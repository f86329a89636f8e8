"""What tests of sending, and of flows across services, need of it."""
