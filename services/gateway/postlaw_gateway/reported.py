"""`/r/{provider}` takes what mail providers report of our messages. Whether it is theirs, sending says by their signature."""

from __future__ import annotations

from typing import Any, Final

from postlaw_common.caller import acting_as
from postlaw_common.errors import Denied, NotFound, PostlawError
from postlaw_gateway.answers import HSTS, Answer, Headers, problem
from postlaw_gateway.clients import Calls, method
from postlaw_gateway.observed import ROUTE
from postlaw_gateway.security_events import Refusal, SecurityEvents
from postlaw_gateway.wire import report_request

REPORTS: Final = "/r/"
LARGEST: Final = 1 << 20
_TAKE = method("sending.TakeProviderReport")
_PROOFS: Final = frozenset({b"authorization", b"x-twilio-email-event-webhook-signature", b"x-twilio-email-event-webhook-timestamp"})


class Reported:
    """The ASGI application below that path: POST alone."""

    def __init__(self, calls: Calls, security: SecurityEvents, *, https: bool) -> None:
        self._calls = calls
        self._security = security
        self._headers: Headers = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"), *([HSTS] if https else [])]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope[ROUTE] = "/r/{provider}"
        if scope["method"] == "POST":
            answer = await self._taken(scope, receive)
        else:
            answer = problem(PostlawError("Only POST is answered here.", type="method-not-allowed"))
            answer.status = 405
            answer.headers.append((b"allow", b"POST"))
        answer.headers += self._headers
        await answer.send(send, scope["method"])

    async def _taken(self, scope: Any, receive: Any) -> Answer:
        body = await _body(receive)
        if body is None:
            answer = problem(PostlawError("A report has a megabyte at most.", type="too-large"))
            answer.status = 413
            return answer
        proofs = {name.decode("ascii"): value.decode("latin-1") for name, value in scope["headers"] if name in _PROOFS}
        try:
            with acting_as(None):
                await self._calls.unary(_TAKE, report_request(scope["path"].removeprefix(REPORTS), proofs, body))
        except (NotFound, Denied) as refused:
            self._security.refused(Refusal("bad_token", scope["method"], scope[ROUTE]))
            return problem(refused)
        except PostlawError as away:  # the provider reports again
            return problem(away)
        return Answer(204, [])


async def _body(receive: Any) -> bytes | None:
    """None where it is too large."""
    pieces, size = list[bytes](), 0
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > LARGEST:
            return None
        if not message.get("more_body"):
            return b"".join(pieces)
