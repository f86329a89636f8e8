"""The whole of the gateway's HTTP: public pages on a short path, everything else through FastAPI's router with one handler a row."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route as StarletteRoute

from postlaw_common.errors import NotFound, PostlawError
from postlaw_gateway.answers import EveryAnswer, problem
from postlaw_gateway.docs_page import DOCS_POLICY, docs_page
from postlaw_gateway.downloads import Download
from postlaw_gateway.json_out import encode
from postlaw_gateway.log_files import LOG_FILES, LogFiles
from postlaw_gateway.observed import Observed
from postlaw_gateway.openapi import document
from postlaw_gateway.public_pages.answering import PublicPages
from postlaw_gateway.reported import REPORTS, Reported
from postlaw_gateway.rest import Endpoint, Parts
from postlaw_gateway.routes import ROUTES, Kind
from postlaw_gateway.tracked import LINK, PIXEL, Tracked
from postlaw_gateway.uploads import Upload

PUBLIC = ("/u/", "/f/", "/c/", "/p/", "/t/")
TRACKED = (LINK, PIXEL)
_ENDPOINTS = {Kind.JSON: Endpoint, Kind.UPLOAD: Upload, Kind.DOWNLOAD: Download}


# FastAPI's own would put paths and queries, ids and addresses in them, into spans, follow any trace that a stranger names, and count
# each request a second time: observed.py does it.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


class MethodNotAllowed(PostlawError):
    type, title, status = "method-not-allowed", "This is not done here", 405


class GatewayApp:
    """The ASGI application that the runner serves."""

    def __init__(self, parts: Parts, public_pages: PublicPages, *, public_url: str) -> None:
        self.parts = parts
        https = public_url.startswith("https:")
        self._public_pages = public_pages
        self._rest = EveryAnswer(_rest(parts, public_url), https=https)
        self._tracked = Tracked(parts.calls, parts.security, https=https)
        self._reported = Reported(parts.calls, parts.security, https=https)
        self._log_files = LogFiles(parts.calls, https=https)
        self._observed = Observed(self._answer)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._observed(scope, receive, send)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            await self._app_at(path)(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    def _app_at(self, path: str) -> Any:
        if path.startswith(PUBLIC):
            return self._public_pages
        if path.startswith(TRACKED):
            return self._tracked
        if path.startswith(LOG_FILES):
            return self._log_files
        return self._reported if path.startswith(REPORTS) else self._rest


async def _lifespan(receive: Any, send: Any) -> None:
    """The runner opens and closes everything; there is nothing to do here."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _rest(parts: Parts, public_url: str) -> FastAPI:
    app = FastAPI(title="Postlaw", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=_NO_TELEMETRY)
    for row in ROUTES:
        app.router.routes.append(StarletteRoute(row.path, _ENDPOINTS[row.kind](row, parts), methods=[row.verb]))
    described = document(public_url)
    vars(app)["openapi"] = lambda: described  # made from the contract, where FastAPI would look for models
    as_json, page = encode(described), docs_page(described)

    async def openapi_json(_: Request) -> Response:
        return Response(as_json, media_type="application/json")

    async def docs(_: Request) -> Response:
        return Response(page, media_type="text/html", headers={"content-security-policy": DOCS_POLICY, "cache-control": "no-cache"})

    async def home(_: Request) -> Response:
        return RedirectResponse("/docs", 307)

    app.add_route("/v1/openapi.json", openapi_json, ["GET"])
    app.add_route("/docs", docs, ["GET"])
    app.add_route("/", home, ["GET"])
    app.add_exception_handler(HTTPException, _refused)
    return app


async def _refused(request: Request, refused: Exception) -> Response:
    """No such path, or not with this verb."""
    if isinstance(refused, HTTPException) and refused.status_code == 405:
        allowed = _allowed(request.url.path)
        answer = problem(MethodNotAllowed(f"Here, {request.method} is not answered; {allowed} is."))
        answer.headers.append((b"allow", allowed.encode()))
    else:
        answer = problem(NotFound("There is nothing at this path. The API's reference is at /docs."))
    return Response(answer.body, answer.status, {name.decode(): value.decode() for name, value in answer.headers})


def _allowed(path: str) -> str:
    """Every verb that some row has for this path: Starlette's own header names only the first row's."""
    verbs: set[str] = set()
    for row in ROUTES:
        match = StarletteRoute(row.path, _nowhere).path_regex.match(path)
        if match:
            verbs |= {row.verb} | ({"HEAD"} if row.verb == "GET" else set())
    return ", ".join(sorted(verbs)) or "GET, HEAD"


async def _nowhere(_: Request) -> Response:
    return Response()
