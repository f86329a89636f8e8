"""`/l/{link}/{token}` leads on to where a link of a campaign's message goes, `/o/{token}.gif` is a pixel (promise M9).

A link's target is sending's to say, from the campaign's own table: nothing in the request names one, so this leads nowhere else. A pixel is
answered with the same image whatever becomes of it. Of who asks, sending hears what program they say they use; their IP address is read
nowhere.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import Any, Final

from postlaw_common.caller import acting_as
from postlaw_common.errors import NotFound, PostlawError
from postlaw_gateway.answers import HSTS, Answer, Headers, problem
from postlaw_gateway.clients import Calls, method
from postlaw_gateway.observed import ROUTE
from postlaw_gateway.public_pages.links import BadToken, checked
from postlaw_gateway.public_pages.visitors import visitor_of
from postlaw_gateway.security_events import Refusal, SecurityEvents
from postlaw_gateway.wire import hit_request, hit_target

LINK: Final = "/l/"
PIXEL: Final = "/o/"
_RECORD = method("sending.RecordHit")
_PIXEL_WAIT_S: Final = 2.0
_GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_UNASKED: Final = (b"purpose", b"sec-purpose", b"x-purpose", b"x-moz")  # where a request says that it is only a prefetch


class Tracked:
    """The ASGI application below both paths: GET and HEAD alone."""

    def __init__(self, calls: Calls, security: SecurityEvents, *, https: bool) -> None:
        self._calls = calls
        self._security = security
        self._headers: Headers = [
            (b"cache-control", b"no-store"),
            (b"referrer-policy", b"no-referrer"),
            (b"x-content-type-options", b"nosniff"),
            (b"x-robots-tag", b"noindex, nofollow"),
            *([HSTS] if https else []),
        ]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        pixel = scope["path"].startswith(PIXEL)
        scope[ROUTE] = "/o/{token}.gif" if pixel else "/l/{link}/{token}"
        if scope["method"] not in ("GET", "HEAD"):
            answer = problem(PostlawError("Only GET and HEAD are answered here.", type="method-not-allowed"))
            answer.status = 405
            answer.headers.append((b"allow", b"GET, HEAD"))
        else:
            answer = await (self._pixel(scope) if pixel else self._link(scope))
        answer.headers += self._headers
        await answer.send(send, scope["method"])

    async def _link(self, scope: Any) -> Answer:
        try:
            target = await self._record(scope, *_link_and_token(scope["path"]), None)
        except (NotFound, BadToken):
            self._security.refused(Refusal("bad_token", scope["method"], scope[ROUTE]))
            return problem(BadToken())
        except PostlawError as away:
            return problem(away)
        return Answer(302, [(b"location", target.encode("ascii"))])

    async def _pixel(self, scope: Any) -> Answer:
        with suppress(PostlawError):
            await self._record(scope, None, checked(scope["path"].removeprefix(PIXEL).removesuffix(".gif")), _PIXEL_WAIT_S)
        return Answer(200, [(b"content-type", b"image/gif")], _GIF)

    async def _record(self, scope: Any, link: int | None, token: str, wait_s: float | None) -> str:
        sent = dict(scope["headers"])
        prefetch = any(b"prefetch" in sent.get(name, b"").lower() or b"preview" in sent.get(name, b"").lower() for name in _UNASKED)
        request = hit_request(token, link, visitor_of(scope).user_agent, head=scope["method"] == "HEAD", prefetch=prefetch)
        with acting_as(None):
            return hit_target(await self._calls.unary(_RECORD, request, timeout=wait_s))


def _link_and_token(path: str) -> tuple[int, str]:
    """Raises BadToken."""
    number, _, token = path.removeprefix(LINK).partition("/")
    if not (number.isascii() and number.isdecimal() and len(number) <= 4):
        raise BadToken
    return int(number), checked(token)
