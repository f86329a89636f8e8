"""How often one person is mailed over all of a customer's campaigns."""
