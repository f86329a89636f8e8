"""What people do with a campaign's messages, as far as each of them allows it (promise M9)."""
