"""Identity alone in a process: `python -m postlaw_identity`."""

from __future__ import annotations

from postlaw_common.runner import run_alone
from postlaw_common.settings import load
from postlaw_identity.service import IdentitySettings, build

if __name__ == "__main__":
    run_alone("identity", lambda platform: build(platform, load(IdentitySettings)))
