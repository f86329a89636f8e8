"""What a customer does with templates."""
