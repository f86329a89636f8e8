"""What receivers report of a customer's domains: DMARC aggregate reports (RFC 7489 §7.2) and TLS reports (RFC 8460)."""
