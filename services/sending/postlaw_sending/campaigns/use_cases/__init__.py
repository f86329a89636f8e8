"""What a customer does with campaigns, a file a verb where it decides something."""
