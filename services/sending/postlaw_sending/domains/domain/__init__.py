"""What a sender domain is: entities and rules, without the DNS."""
