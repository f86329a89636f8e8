"""Consent alone in a process: `python -m postlaw_consent`."""

from __future__ import annotations

from postlaw_common.runner import run_alone
from postlaw_common.settings import load
from postlaw_consent.service import ConsentSettings, build

if __name__ == "__main__":
    run_alone("consent", lambda platform: build(platform, load(ConsentSettings)))
