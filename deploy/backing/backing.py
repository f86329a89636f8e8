"""Kafka, a MongoDB-wire server and an S3 server as local processes, for tests on a machine without Docker.

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

from postlaw_common.testing.backing.local import SERVICES, LocalBacking
from postlaw_common.testing.backing.processes import BackingFailed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("install", "start", "stop", "status"))
    parser.add_argument("services", nargs="*", metavar="service", help=f"which of {', '.join(SERVICES)}; all by default")
    chosen = parser.parse_args()
    services: tuple[str, ...] = tuple(chosen.services) or SERVICES
    backing = LocalBacking(Path(__file__).resolve().parents[2])
    try:
        if chosen.action == "install":
            backing.install(services)
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
        sys.stdout.write(f"{service:8} {state}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
