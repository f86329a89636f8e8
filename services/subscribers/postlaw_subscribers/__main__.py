"""Runs subscribers alone: `python -m postlaw_subscribers`."""

from __future__ import annotations

from postlaw_common.runner import run_alone
from postlaw_common.settings import load
from postlaw_subscribers.service import build
from postlaw_subscribers.settings import SubscribersSettings

if __name__ == "__main__":
    run_alone("subscribers", lambda platform: build(platform, load(SubscribersSettings)))
