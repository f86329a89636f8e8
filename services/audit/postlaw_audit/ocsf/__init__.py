"""The log as other people's security tools read it: events of the Open Cybersecurity Schema Framework (OCSF), one pinned version of it."""
