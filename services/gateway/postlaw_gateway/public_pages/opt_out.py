"""`/u/{token}`: the page behind an unsubscribe link (GET, HEAD: changes nothing) and the stop itself (POST, RFC 8058).

Plain ASGI, because this is the hot path and must stand when nothing else does: it needs consent alone, not identity, not
subscribers. A link is its own authority: no cookie, no key, no redirect. Every wrong token gets the same answer.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from postlaw_common.caller import acting_as
from postlaw_common.errors import Denied, Invalid, NotFound, PostlawError, Unauthenticated
from postlaw_common.foreground import answering
from postlaw_common.telemetry import get_logger
from postlaw_gateway.answers import HSTS, PROBLEM_JSON, Headers, problem_body
from postlaw_gateway.clients import Calls, method
from postlaw_gateway.json_out import encode, to_json
from postlaw_gateway.observed import ROUTE
from postlaw_gateway.public_pages import pages
from postlaw_gateway.public_pages.forms import Choice, UnreadableForm, read_body, read_choice
from postlaw_gateway.public_pages.languages import language_of
from postlaw_gateway.public_pages.masked_addresses import get_masked_address
from postlaw_gateway.public_pages.senders import Senders
from postlaw_gateway.security_events import Refusal, SecurityEvents
from postlaw_gateway.wire import Link, Receipt, describe_request, link, receipt, withdraw_request

_DESCRIBE = method("consent.DescribeToken")
_WITHDRAW = method("consent.WithdrawByToken")
_TOKEN = re.compile(r"[A-Za-z0-9_.~-]{1,600}")
_PATH = "/u/{token}"
_METHODS = b"GET, HEAD, POST"
_HTML = b"text/html; charset=utf-8"


class BadToken(PostlawError):
    """The one answer to a token that is truncated, altered, made up or unreadable: nobody learns which."""

    type, title, status = "not-found", "There is no such thing", 404


class OptOut:
    """The ASGI application below `/u/`."""

    def __init__(self, calls: Calls, senders: Senders, security: SecurityEvents, *, https: bool) -> None:
        self._calls = calls
        self._senders = senders
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
        scope[ROUTE] = _PATH
        verb = scope["method"]
        token = scope["path"][3:]
        sent = dict(scope["headers"])  # none of those that are read here may come twice
        wanted = language_of(scope["query_string"], sent.get(b"accept-language", b""))
        language = "" if verb == "POST" else wanted  # of the page; none where the answer is JSON
        try:
            if verb == "POST":
                accept = sent.get(b"accept", b"").lower()
                language = wanted if b"text/html" in accept else ""
                choice = read_choice(sent.get(b"content-type", b""), await read_body(receive, sent.get(b"content-length")))
                language = wanted if wants_page(choice, accept) else ""
                with answering():
                    status, body, kind = 200, *await self._stop(token, choice, language)
            elif verb in ("GET", "HEAD"):
                status, body, kind = 200, await self._page(token, language), _HTML
            else:
                raise UnreadableForm("Only GET, HEAD and POST are answered here.", status=405, type="method-not-allowed")
            more: Headers = []
        except PostlawError as error:
            status, body, kind, more = self._failed(error, verb, language)
        except Exception as unexpected:
            self._log.error("an opt-out could not be answered", error=type(unexpected).__name__, exc_info=unexpected)
            status, body, kind, more = self._failed(PostlawError("The failure is on our side. Try again."), verb, language)
        length = (b"content-length", str(len(body)).encode())
        if language:
            more += [(b"content-language", language.encode()), (b"vary", b"accept-language")]
        headers = [(b"content-type", kind), length, *more, *self._headers]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if verb == "HEAD" else body})

    async def _stop(self, token: str, choice: Choice, language: str) -> tuple[bytes, bytes]:
        """The receipt and its kind: a page in that language, or JSON where there is none."""
        request = withdraw_request(_checked(token), one_click=choice.one_click, everything=choice.everything)
        withdrawal = await self._ask(_WITHDRAW, request)
        if language:
            return await self._done(token, receipt(withdrawal), language), _HTML
        return encode(to_json(withdrawal)), b"application/json"

    async def _page(self, token: str, language: str) -> bytes:
        described = link(await self._ask(_DESCRIBE, describe_request(_checked(token))))
        return pages.ask(language, described, await self._mail(described))

    async def _done(self, token: str, receipt: Receipt, language: str) -> bytes:
        try:
            mail = await self._mail(link(await self._ask(_DESCRIBE, describe_request(token))))
        except PostlawError:  # the mail has stopped all the same: the page then does without names
            mail = pages.Mail()
        return pages.done(language, receipt, mail)

    async def _mail(self, described: Link) -> pages.Mail:
        sender, address = await asyncio.gather(self._senders.get(described.tenant_id), get_masked_address(self._calls, described))
        return pages.Mail(described, sender, address)

    async def _ask(self, method: Any, request: Any) -> Any:
        try:
            with acting_as(None):
                return await self._calls.unary(method, request)
        except (Invalid, NotFound, Denied, Unauthenticated):
            raise _bad() from None

    def _failed(self, error: PostlawError, verb: str, language: str) -> tuple[int, bytes, bytes, Headers]:
        more: Headers = []
        if isinstance(error, BadToken):
            self._security.refused(Refusal("bad_token", verb, _PATH))
        if error.status == 405:
            more.append((b"allow", _METHODS))
        if error.status in (503, 504):
            more.append((b"retry-after", b"5"))
        if language:
            return error.status, pages.failed(language, error.status), _HTML, more
        return error.status, problem_body(error), PROBLEM_JSON, more


def wants_page(choice: Choice, accept: bytes) -> bool:
    """Mailbox providers get JSON unless they ask for a page; a browser's form gets a page unless it asks for JSON alone."""
    if b"text/html" in accept:
        return True
    return not choice.one_click and b"application/json" not in accept


def _bad() -> BadToken:
    return BadToken("This link does not work. It may have been cut off.")


def _checked(token: str) -> str:
    if _TOKEN.fullmatch(token) is None:
        raise _bad()
    return token
