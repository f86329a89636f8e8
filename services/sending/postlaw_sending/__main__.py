"""Sending alone in its process: `python -m postlaw_sending`; `POSTLAW_SENDING_ROLE` says which part of it."""

from __future__ import annotations

from postlaw_common.runner import run_alone
from postlaw_common.settings import load
from postlaw_sending.service import build
from postlaw_sending.settings import SendingSettings

if __name__ == "__main__":
    run_alone("sending", lambda platform: build(platform, load(SendingSettings)))
