"""Runs services: one alone in its process, or several in one; in both cases over real gRPC with mutual TLS.

`run_services` is what tests, `postlaw dev` and `run_alone` stand on. The order of starting and stopping is service.py's.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn

from postlaw_common import telemetry
from postlaw_common.blobs import BlobsUnavailable
from postlaw_common.bus import BusUnavailable, TopicMismatch
from postlaw_common.keys import KeysUnavailable, UnwrapRefused
from postlaw_common.memory import bound_arenas, settled
from postlaw_common.opening import Backing, StartRefused, identities_of
from postlaw_common.rpc.context_token import KeySource
from postlaw_common.rpc.server import PortTaken
from postlaw_common.rpc.tls import Identities, TlsFilesWrong
from postlaw_common.running import BackgroundFailed, Builder, Running
from postlaw_common.settings import PlatformSettings, WrongSettings, load
from postlaw_common.store import StoreUnavailable

__all__ = [
    "ONE_LINERS",
    "BackgroundFailed",
    "Builder",
    "Running",
    "run_alone",
    "run_process",
    "run_services",
    "run_until_stopped",
    "share_interpreter",
]

SWITCH_S = 0.001

ONE_LINERS = (
    StartRefused,
    WrongSettings,
    PortTaken,
    TlsFilesWrong,
    TopicMismatch,
    BusUnavailable,
    StoreUnavailable,
    BlobsUnavailable,
    KeysUnavailable,
    UnwrapRefused,
)


def share_interpreter() -> None:
    """Where several services run in one process: a thread that comes back from the disk asks the loop for the interpreter a dozen times,
    each time for up to this long. At Python's 5 ms the log's checkpoint came twice as late; sending is as fast with either."""
    sys.setswitchinterval(SWITCH_S)


@asynccontextmanager
async def run_services(
    settings: PlatformSettings,
    builders: Sequence[Builder],
    *,
    key_source: KeySource | None = None,
    identities: Identities | None = None,
    now_us: Callable[[], int] | None = None,
) -> AsyncGenerator[Running]:
    """The services, ready; stopped in order at the end. `key_source`: whose contexts are believed (identity's, by default).

    Raises one of ONE_LINERS where the start is refused, and BackgroundFailed at the end where a background had failed."""
    certificates = identities or identities_of(settings)
    running = Running(settings, Backing(settings, certificates, now_us))
    try:
        await running.probes()
        running.build(builders)
        await running.start(certificates, key_source)
        yield running
    finally:
        await running.stop()
    if running.failed.done():
        running.failed.result()


async def run_until_stopped(
    settings: PlatformSettings, builders: Sequence[Builder], on_ready: Callable[[Running], None] | None = None
) -> None:
    """Runs until SIGTERM or SIGINT, or until a background fails (raises BackgroundFailed)."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with run_services(settings, builders) as running:
        settled()
        if on_ready:
            on_ready(running)
        waiting = asyncio.ensure_future(told.wait())
        await asyncio.wait({waiting, running.failed}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()


def run_process(
    name: str, builders: Sequence[Builder], settings: PlatformSettings | None = None, on_ready: Callable[[Running], None] | None = None
) -> int:
    """A whole process; returns its exit code. What stops it is one clear line on standard error."""
    try:
        bound_arenas()
        chosen = settings or load(PlatformSettings)
        telemetry.setup(chosen, service=name)
        import uvloop

        uvloop.run(run_until_stopped(chosen, builders, on_ready))
    except (*ONE_LINERS, BackgroundFailed) as wrong:
        sys.stderr.write(f"{name}: {' '.join(str(wrong).split())}\n")
        return 1
    finally:
        telemetry.shutdown()
    return 0


def run_alone(name: str, builder: Builder) -> NoReturn:
    """What a service's `__main__` calls: `run_alone("consent", lambda platform: build(platform, load(ConsentSettings)))`."""
    sys.exit(run_process(f"postlaw-{name}", [builder]))
