"""Consent: the ledger of who agreed to what and who said stop, and every answer that rests on it."""
