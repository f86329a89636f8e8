"""One handler for every row of the route table: who calls, may they, what do they ask, has it been answered, ask the service, answer.

Plain ASGI below FastAPI's router: converting by descriptor needs no model, and every layer less is time for the others.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from google.protobuf.message import Message

from postlaw_common.bus import BusUnavailable
from postlaw_common.caller import Caller, Origin, acting_as
from postlaw_common.errors import Denied, NotFound, PostlawError, RateLimited, Unavailable
from postlaw_common.ids import time_ms_of
from postlaw_common.rpc.validate import validate
from postlaw_common.store import StoreUnavailable, VersionConflict
from postlaw_common.telemetry import get_logger, meter
from postlaw_gateway.access_events import AccessEvents
from postlaw_gateway.answers import JSON, Answer, Headers, entity_tag, not_modified, problem
from postlaw_gateway.authentication import Authentication, KeyRefused
from postlaw_gateway.clients import Calls
from postlaw_gateway.idempotency import Claim, IdempotencyKeys
from postlaw_gateway.json_out import encode, to_json
from postlaw_gateway.naming import is_map
from postlaw_gateway.observed import ROUTE
from postlaw_gateway.public_pages.visitors import block_of
from postlaw_gateway.rate_limits import RateLimits
from postlaw_gateway.requests import Disconnected, build, header, read_body
from postlaw_gateway.routes import Route
from postlaw_gateway.security_events import Refusal, SecurityEvents

_log = get_logger("gateway")
_limited = meter("postlaw.gateway").create_counter(
    "postlaw.gateway.rate_limited", unit="{request}", description="Requests refused because their key had used up its rate"
)
_ID = re.compile(r"[a-z]{2,8}_[0-9a-z]{26,90}")


@dataclass(frozen=True, slots=True)
class Parts:
    """What every route is answered with."""

    calls: Calls
    authentication: Authentication
    rate_limits: RateLimits
    idempotency: IdempotencyKeys
    security: SecurityEvents
    access: AccessEvents


class BrokenOff(ConnectionError):
    """A service failed in the middle of a stream whose status is sent: all that is left is to end the connection."""


class Endpoint:
    """The ASGI application of one route. Subclasses carry bytes in another way than as JSON."""

    def __init__(self, route: Route, parts: Parts) -> None:
        self.route = route
        self.method = route.method
        self.parts = parts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope[ROUTE] = self.route.path
        limit_headers: Headers = []
        caller: Caller | None = None
        try:
            caller = await self._admit(scope, limit_headers)
            if caller is not None:
                caller = replace(caller, origin=Origin(scope.get("request_id", ""), block_of(scope)))
            with acting_as(caller):
                answer = await self.answer(scope, receive, send, caller)
        except Disconnected:
            return
        except BrokenOff:
            raise
        except PostlawError as error:
            self._watch(error, scope, caller)
            answer = problem(error)
        except (StoreUnavailable, BusUnavailable):
            answer = problem(Unavailable("A store that this needs cannot be reached now. Try again.", retry_after_s=2))
        except Exception as unexpected:
            _log.error(
                "a request failed", route=self.route.path, verb=self.route.verb, request_id=scope.get("request_id", ""), exc_info=unexpected
            )
            answer = problem(PostlawError("The failure is on our side, and is in our log under this answer's X-Request-Id."))
        if answer is not None:
            answer.headers += limit_headers
            await answer.send(send, scope["method"])

    async def _admit(self, scope: Any, limit_headers: Headers) -> Caller | None:
        """Who calls, within their rate and their scopes. Routes that need no context are open to everyone."""
        if not self.method.needs_context:
            return None
        caller = await self.parts.authentication.caller(header(scope, b"authorization"))
        taken = self.parts.rate_limits.take(caller.credential_id)
        limit_headers += self.parts.rate_limits.headers(taken)
        if not taken.allowed:
            _limited.add(1)
            raise RateLimited("This API key has used up its rate for now.", retry_after_s=taken.retry_after_s)
        missing = self.method.scopes - caller.scopes
        if missing:
            self._refused("missing_scope", caller)
            raise Denied(f"This API key lacks the scope {', '.join(sorted(missing))}.", type="missing-scope")
        return caller

    async def answer(self, scope: Any, receive: Any, send: Any, caller: Caller | None) -> Answer | None:
        """The answer; None where it was sent already."""
        body = await read_body(self.route, scope, receive)
        key = header(scope, b"idempotency-key") if self.route.verb == "POST" else None
        if key is None or caller is None:
            return await self._done(scope, body, "")
        build(self.route, scope, body)  # what is wrong is said before anything is noted
        claim = await self.parts.idempotency.claim(caller, self.place, key, *_whole(scope))
        claim.fingerprint.feed(body)
        if claim.stored:
            return await self.parts.idempotency.replay(caller, claim)
        return await self.once(caller, claim, self._done(scope, body, claim.deed))

    @property
    def place(self) -> str:
        return f"{self.route.verb} {self.route.path}"

    async def once(self, caller: Caller, claim: Claim, work: Any) -> Answer:
        """Does the claimed work, and notes the answer, or frees the key."""
        try:
            answer: Answer = await work
        except BaseException:
            with suppress(StoreUnavailable, VersionConflict):  # the claim ends by itself
                await self.parts.idempotency.release(claim)
            raise
        noted = answer if not self.route.forgets else _without(answer, self.route.forgets)
        try:
            await self.parts.idempotency.keep(caller, claim, noted)
        except (StoreUnavailable, VersionConflict) as failed:
            # It is done, and the caller must hear so; a second try with this key is refused for a minute, then left to the service.
            _log.warning("an answer could not be noted under its Idempotency-Key", error=type(failed).__name__)
        return answer

    async def _done(self, scope: Any, body: bytes, deed: str) -> Answer:
        request = scope["asked"] = build(self.route, scope, body, deed)
        validate(request)
        answer = await self.parts.calls.unary(self.method, request)
        if self.route.personal:
            await self.parts.access.reads(self.route.rpc, self.route.path, request, answer)
        return self.made(scope, answer)

    def made(self, scope: Any, message: Message) -> Answer:
        """The service's message as an answer, with its entity tag and place."""
        route = self.route
        if route.status == 204:
            return Answer(204, [])
        content = {} if route.document else to_json(message, reveal=route.reveals)
        body = getattr(message, route.document) if route.document else encode(content)
        version = content.get("version")
        headers: Headers = [(b"content-type", JSON)]
        if not route.forgets:
            tag = entity_tag(body, version if isinstance(version, int) else None)
            headers.append((b"etag", tag.encode()))
            if route.verb == "GET" and not_modified(header(scope, b"if-none-match"), tag):
                return Answer(304, headers[1:])
        if route.location:
            headers.append((b"location", route.location.format_map(content).encode()))
        status = 200 if route.upsert and version != 1 else route.status
        return Answer(status, headers, body)

    def _watch(self, error: PostlawError, scope: Any, caller: Caller | None) -> None:
        """Tells the security topic of refused keys, and of ids that this caller should not know."""
        if isinstance(error, KeyRefused):
            if error.kind:
                self.parts.security.refused(Refusal(error.kind, self.route.verb, self.route.path, network=block_of(scope)))
        elif isinstance(error, NotFound) and caller is not None:
            # A service answers "not found" for another tenant's id as for one that never was; who may not know cannot tell, and
            # neither can we. An id in our own form that is nobody's here was most likely seen elsewhere.
            asked = scope.get("asked")
            for id in ids_of(asked) if asked is not None else ():
                if looks_foreign(id, self.route.fresh_s):
                    self._refused("foreign_id", caller, id)
                    break
        elif isinstance(error, Denied) and error.type == "missing-scope" and caller is not None:
            self._refused("missing_scope", caller)

    def _refused(self, kind: str, caller: Caller | None, object_id: str = "") -> None:
        self.parts.security.refused(Refusal(kind, self.route.verb, self.route.path, caller, object_id))


def ids_of(message: Message) -> Iterator[str]:
    """Every id that a request names, those of the path among them."""
    for field, value in message.ListFields():
        if field.message_type is not None and not is_map(field):
            for item in value if field.is_repeated else (value,):
                yield from ids_of(item)
        elif field.type == field.TYPE_STRING and field.name.endswith(("_id", "_ids")):
            yield from value if field.is_repeated else (value,)


def looks_foreign(id: str, fresh_s: float) -> bool:
    """It has an id's form, and is old enough for the thing to have appeared."""
    if _ID.fullmatch(id) is None:
        return False
    if not fresh_s:
        return True
    try:
        return time.time() - time_ms_of(id) / 1000 >= fresh_s
    except ValueError:
        return True


def _whole(scope: Any) -> tuple[bytes, ...]:
    return scope["method"].encode(), scope["path"].encode(), scope["query_string"]


def _without(answer: Answer, revealed: frozenset[str]) -> Answer:
    """The answer without what is shown only once."""
    content: dict[str, Any] = msgspec.json.decode(answer.body)
    return Answer(answer.status, list(answer.headers), encode({name: value for name, value in content.items() if name not in revealed}))
