"""Everything below `/u/`, `/f/`, `/c/`, `/p/` and `/t/`: GET and HEAD show and change nothing, only a POST does.

Plain ASGI, because the stop is the hot path and must stand when nothing else does. A link is its own authority: no cookie, no key, no
redirect.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

from postlaw_common.errors import PostlawError
from postlaw_common.foreground import answering
from postlaw_common.telemetry import get_logger
from postlaw_gateway.answers import HSTS, JSON, PROBLEM_JSON, Headers, problem_body
from postlaw_gateway.observed import ROUTE
from postlaw_gateway.public_pages import pages
from postlaw_gateway.public_pages.forms import UnreadableForm, read_body, read_fields
from postlaw_gateway.public_pages.languages import Language, language_of
from postlaw_gateway.public_pages.links import BadToken
from postlaw_gateway.public_pages.visitors import Visitor, visitor_of
from postlaw_gateway.security_events import Refusal, SecurityEvents

_METHODS = b"GET, HEAD, POST"
_HTML = b"text/html; charset=utf-8"


class Place(Protocol):
    """What is answered at one path. `path` names it in telemetry; `shows_page`: a GET is answered with a page, else with JSON;
    `open_to_all`: pages of other sites may read the answer, in which nothing is about anybody."""

    path: str
    shows_page: bool
    open_to_all: bool

    def is_page(self, accept: bytes, fields: Mapping[str, str] | None) -> bool:
        """Whether a POST of these fields is answered with a page; None where they could not be read."""
        ...

    async def show(self, token: str, language: Language) -> bytes:
        """`language` is what the answer is in when it returns."""
        ...

    async def press(self, token: str, fields: Mapping[str, str], language: Language, visitor: Visitor) -> tuple[int, bytes]:
        """(status, body) of a POST. `language` without a tag: the answer is JSON."""
        ...


class PublicPages:
    """The ASGI application. `places`: by the path's first part, each by what stands after the token and a slash, with "" for nothing."""

    def __init__(self, places: Mapping[str, Mapping[str, Place]], security: SecurityEvents, *, https: bool) -> None:
        self._places = places
        self._security = security
        self._log = get_logger("gateway")
        self._headers: Headers = [
            (b"cache-control", b"no-store"),
            (b"content-security-policy", pages.CONTENT_SECURITY_POLICY.encode()),
            (b"referrer-policy", b"no-referrer"),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"x-robots-tag", b"noindex, nofollow"),
        ]
        if https:
            self._headers.append(HSTS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        place, token = self._place(scope["path"])
        scope[ROUTE] = place.path
        verb = scope["method"]
        sent = dict(scope["headers"])  # none of those that are read here may come twice
        more: Headers = []

        def language_if(page: bool) -> Language:
            """Of the page; none where the answer is JSON."""
            return language_of(scope["query_string"], sent.get(b"accept-language", b"")) if page else Language()

        language = language_if(verb != "POST" and place.shows_page)
        try:
            if verb == "POST":
                accept = sent.get(b"accept", b"").lower()
                language = language_if(place.is_page(accept, None))
                fields = read_fields(sent.get(b"content-type", b""), await read_body(receive, sent.get(b"content-length")))
                language = language_if(place.is_page(accept, fields))
                with answering():
                    status, body = await place.press(token, fields, language, visitor_of(scope))
            elif verb in ("GET", "HEAD"):
                status, body = 200, await place.show(token, language)
            else:
                raise UnreadableForm("Only GET, HEAD and POST are answered here.", status=405, type="method-not-allowed")
            kind = _HTML if language.tag else JSON
        except PostlawError as error:
            status, body, kind, more = self._failed(error, verb, place.path, language.tag)
        except Exception as unexpected:
            self._log.error("a public page could not be answered", error=type(unexpected).__name__, exc_info=unexpected)
            failure = PostlawError("The failure is on our side. Try again.")
            status, body, kind, more = self._failed(failure, verb, place.path, language.tag)
        if place.open_to_all:
            more = [*more, (b"access-control-allow-origin", b"*")]
        if language.tag:
            more += [(b"content-language", language.tag.encode()), (b"vary", b"accept-language")]
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *more, *self._headers]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if verb == "HEAD" else body})

    def _place(self, path: str) -> tuple[Place, str]:
        below = self._places[path[1]]
        token, _, rest = path[3:].partition("/")
        return (below[rest], token) if rest and rest in below else (below[""], path[3:])

    def _failed(self, error: PostlawError, verb: str, path: str, language: str) -> tuple[int, bytes, bytes, Headers]:
        more: Headers = []
        if isinstance(error, BadToken):
            self._security.refused(Refusal("bad_token", verb, path))
        if error.status == 405:
            more.append((b"allow", _METHODS))
        if error.status in (503, 504):
            more.append((b"retry-after", b"5"))
        elif error.status == 429:
            more.append((b"retry-after", str(math.ceil(error.retry_after_s or 1)).encode()))
        if language:
            return error.status, pages.failed(language, error.status), _HTML, more
        return error.status, problem_body(error), PROBLEM_JSON, more
