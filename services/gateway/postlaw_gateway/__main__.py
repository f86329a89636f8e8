"""The gateway alone in a process: `python -m postlaw_gateway`."""

from __future__ import annotations

from postlaw_common.runner import run_alone
from postlaw_common.settings import load
from postlaw_gateway.service import GatewaySettings, build

if __name__ == "__main__":
    run_alone("gateway", lambda platform: build(platform, load(GatewaySettings)))
