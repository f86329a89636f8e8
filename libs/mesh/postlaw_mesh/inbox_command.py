"""`postlaw inbox`: the mail catcher and its pages as a process of their own, for a mesh of separate processes."""

from __future__ import annotations

import asyncio
import signal

import click

from postlaw_common.http_serving import HttpServer
from postlaw_common.rpc.server import PortTaken
from postlaw_mesh.catcher import Catcher
from postlaw_mesh.inbox import inbox as pages

SMTP_PORT, HTTP_PORT = 2525, 8025
DRAIN_S = 2.0


async def serve(listen: str, smtp_port: int, port: int) -> None:
    """Until SIGTERM or SIGINT. Raises PortTaken, OSError."""
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    catcher = Catcher()
    http = HttpServer("inbox", pages(catcher), is_ready=lambda: not told.is_set())
    http.bind(listen, port)
    try:
        await catcher.start(listen, smtp_port)
        await http.start()
        await told.wait()
    finally:
        await http.drain(DRAIN_S)
        await catcher.stop()


@click.command()
@click.option("--listen", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 in a container.")
@click.option("--smtp-port", default=SMTP_PORT, show_default=True, type=click.IntRange(1, 65535), help="Where mail is taken.")
@click.option("--port", default=HTTP_PORT, show_default=True, type=click.IntRange(1, 65535), help="Where its pages are.")
def inbox(listen: str, smtp_port: int, port: int) -> None:
    """Takes all mail, sends none of it on, and shows it, until Ctrl-C. Kept in memory alone.

    \b
    Example:
      postlaw inbox --smtp-port 2525 --port 8025
    Exit codes: 0 stopped, 1 a port is in use, 2 wrong usage.
    """
    import uvloop

    try:
        uvloop.run(serve(listen, smtp_port, port))
    except PortTaken as taken:
        raise click.ClickException(str(taken)) from taken
    except OSError as taken:
        raise click.ClickException(f"the mail catcher cannot listen on {listen}:{smtp_port}: {taken.strerror}") from taken
