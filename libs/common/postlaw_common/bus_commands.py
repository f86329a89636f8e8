"""What every command that works on the bus itself, beside the services, stands on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from postlaw_common.bus import Bus, BusUnavailable, TopicMismatch, open_bus
from postlaw_common.settings import PlatformSettings, WrongSettings, load

T = TypeVar("T")

UNUSABLE = 1
EMBEDDED = "With the embedded bus, which belongs to one process, stop `postlaw dev` first."


def with_bus(command: str, work: Callable[[Bus], Awaitable[T]]) -> T:
    """What `work` returns, on the bus that settings name. Where it cannot be used: one clear line, and exit code 1."""

    async def run() -> T:
        settings = load(PlatformSettings)
        bus = open_bus(settings.bus, state=str(settings.state), partitions=settings.partitions, client_id=f"postlaw-{command}")
        await bus.start()
        try:
            return await work(bus)
        finally:
            await bus.close()

    try:
        return asyncio.run(run())
    except (BusUnavailable, TopicMismatch, WrongSettings) as wrong:
        hint = f" {EMBEDDED}" if "another process" in str(wrong) else ""
        click.echo(f"postlaw {command}: {wrong}.{hint}", err=True)
        sys.exit(UNUSABLE)
