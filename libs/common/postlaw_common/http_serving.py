"""ASGI apps over HTTP in the runner's own loop (uvicorn with httptools), and the two probes that an orchestrator asks for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator
from typing import Any

import uvicorn

from postlaw_common.rpc.server import PortTaken

_PROBES = ("/livez", "/readyz")


class HttpServer:
    """One app on one port."""

    def __init__(self, name: str, app: Any, *, is_ready: Callable[[], bool], trusted_proxies: str = "") -> None:
        self._name = name
        self._server = _Server(
            uvicorn.Config(
                with_probes(app, is_ready),
                http="httptools",
                ws="none",
                lifespan="auto" if app is not None else "off",
                log_config=None,
                access_log=False,  # its lines would hold opt-out tokens and the addresses of people's computers
                server_header=False,
                proxy_headers=bool(trusted_proxies),
                forwarded_allow_ips=trusted_proxies or None,
                timeout_keep_alive=65,  # longer than a load balancer's own, so that it never writes into a closing connection
            )
        )
        self._socket: socket.socket | None = None
        self._serving: asyncio.Task[None] | None = None

    def bind(self, host: str, port: int) -> int:
        """Takes the port (0: any free one) and returns it. Raises PortTaken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        taken = socket.socket(family, socket.SOCK_STREAM)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((host, port))
        except (OSError, OverflowError) as wrong:
            taken.close()
            said = wrong.strerror if isinstance(wrong, OSError) else str(wrong)
            raise PortTaken(
                f"{self._name} cannot listen on {host}:{port}: {said}; stop what uses it, or set POSTLAW_HTTP_PORT_{self._name.upper()}"
            ) from wrong
        self._socket = taken
        return taken.getsockname()[1]

    async def start(self) -> None:
        """Returns once it listens; a second call changes nothing. Raises RuntimeError where the app's own start-up fails."""
        if self._serving is not None:
            return
        assert self._socket is not None
        self._serving = asyncio.create_task(self._server.serve([self._socket]), name=f"http {self._name}")
        while not self._server.started:
            if self._serving.done():
                await self._serving
                raise RuntimeError(f"the HTTP app of {self._name} did not start")
            await asyncio.sleep(0.002)

    async def drain(self, seconds: float) -> None:
        """Takes no new connection, lets requests under way finish for at most `seconds`."""
        if self._serving is not None:
            self._server.config.timeout_graceful_shutdown = max(1, round(seconds))
            self._server.should_exit = True
            await asyncio.wait({self._serving}, timeout=seconds + 1)
            if not self._serving.done():
                self._serving.cancel()
            self._serving = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are the runner's: it stops everything in order."""
        yield


def with_probes(app: Any, is_ready: Callable[[], bool]) -> Any:
    """The app with `/livez` (the loop turns) and `/readyz` (all is started, and we are not stopping) before it; without an app,
    the probes alone."""

    async def probed(scope: Any, receive: Any, send: Any) -> None:
        if app is not None and (scope["type"] != "http" or scope["path"] not in _PROBES):
            await app(scope, receive, send)
        elif scope["type"] == "http":
            status, body = _probe(scope["path"], is_ready())
            sent = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": status, "headers": sent})
            await send({"type": "http.response.body", "body": body})

    return probed


def _probe(path: str, ready: bool) -> tuple[int, bytes]:
    if path not in _PROBES:
        return 404, b"there is nothing here\n"
    return (200, b"ok\n") if ready or path == "/livez" else (503, b"not ready\n")
