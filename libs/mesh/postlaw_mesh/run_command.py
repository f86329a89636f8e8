"""`postlaw run`: one service alone in this process; what the image's entry point calls."""

from __future__ import annotations

import os
import sys

import click

SERVICES = ("identity", "subscribers", "consent", "sending", "audit", "gateway")


@click.command()
@click.argument("service", type=click.Choice(SERVICES), envvar="POSTLAW_SERVICE")
def run(service: str) -> None:
    """One service alone, as settings in the environment say: the same as `python -m postlaw_SERVICE`.

    \b
    Example:
      postlaw run identity
    Exit codes: 0 stopped in order, 1 could not start or failed, 2 wrong usage.
    """
    os.execv(sys.executable, [sys.executable, "-m", f"postlaw_{service}"])
