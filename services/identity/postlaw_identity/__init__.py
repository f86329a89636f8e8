"""Identity: tenants, their API keys, and the signed context in which every call is made."""
