"""What a customer does with sender domains."""
