"""What people answer to a campaign, passed on to the customer's own people (docs/adr/0036-answers.md)."""
