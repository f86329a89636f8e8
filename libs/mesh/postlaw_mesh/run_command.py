"""`postlaw run`: one service alone in this process, as the image's entry point calls it; or several together, on a small machine."""

from __future__ import annotations

import os
import sys

import click

SERVICES = ("identity", "subscribers", "consent", "sending", "audit", "gateway")


@click.command()
@click.argument("services", type=click.Choice(SERVICES), nargs=-1, required=True, envvar="POSTLAW_SERVICE")
def run(services: tuple[str, ...]) -> None:
    """One service alone, as settings in the environment say (the same as `python -m postlaw_SERVICE`), or several in one process.

    Together they call each other without a network, so they take less of a small machine. Their settings are
    the same, all in one environment; {service} in the paths of POSTLAW_TLS_CERTIFICATE and POSTLAW_TLS_KEY stands for each name.

    \b
    Example:
      postlaw run identity
      postlaw run identity subscribers consent sending audit gateway
    Exit codes: 0 stopped in order, 1 could not start or failed, 2 wrong usage.
    """
    if len(services) == 1:
        os.execv(sys.executable, [sys.executable, "-m", f"postlaw_{services[0]}"])
    from postlaw_common.runner import run_process, share_interpreter
    from postlaw_mesh.builders import builders

    share_interpreter()
    known = builders()
    sys.exit(run_process("postlaw", [known[service] for service in SERVICES if service in services]))
