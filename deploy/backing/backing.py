"""Kafka, a MongoDB-wire server and an S3 server as local processes, for tests on a machine without Docker; and other people's programs
that verify logs and charts, which are installed alone.

    python deploy/backing/backing.py install    what is missing, into .backing/ (Java, Maven, Go and PostgreSQL must be there)
    python deploy/backing/backing.py start      on loopback and free ports; URLs go to .backing/env
    python deploy/backing/backing.py stop
    python deploy/backing/backing.py status

`set -a; . .backing/env` gives the URLs to a shell. Test runs start and stop by themselves what is installed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from postlaw_common.testing import chart_tools, log_verifiers
from postlaw_common.testing.backing.local import SERVICES, LocalBacking
from postlaw_common.testing.backing.processes import BackingFailed

TOOLS = {"log-verifiers": log_verifiers, "charts": chart_tools}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("install", "start", "stop", "status"))
    everything = (*SERVICES, *TOOLS)
    parser.add_argument("services", nargs="*", metavar="service", help=f"which of {', '.join(everything)}; all by default")
    chosen = parser.parse_args()
    asked: tuple[str, ...] = tuple(chosen.services) or everything
    services = tuple(service for service in asked if service not in TOOLS)
    checkout = Path(__file__).resolve().parents[2]
    backing = LocalBacking(checkout)
    try:
        if chosen.action == "install":
            backing.install(services)
            for name in asked:
                if name in TOOLS:
                    TOOLS[name].install(checkout)
        elif chosen.action == "start":
            backing.install(services)
            backing.start(services, keep=True)
        elif chosen.action == "stop":
            backing.stop()
    except BackingFailed as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    for service in SERVICES:
        state = "running" if backing.running(service) else "installed" if backing.installed(service) else "not installed"
        sys.stdout.write(f"{service:13} {state}\n")
    for name, tool in TOOLS.items():
        sys.stdout.write(f"{name:13} {'installed' if tool.installed(checkout) else 'not installed'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
