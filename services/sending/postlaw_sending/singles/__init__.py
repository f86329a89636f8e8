"""Single messages: one mail to one person, delivered by the worker as a campaign's are. Why so: ADR 0022."""
