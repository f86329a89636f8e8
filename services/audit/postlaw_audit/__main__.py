"""Audit alone in its process: `python -m postlaw_audit`."""

from __future__ import annotations

from postlaw_audit.service import AuditSettings, build
from postlaw_common.runner import run_alone
from postlaw_common.settings import load

if __name__ == "__main__":
    run_alone("audit", lambda platform: build(platform, load(AuditSettings)))
