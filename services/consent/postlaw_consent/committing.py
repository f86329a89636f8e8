"""A closing act goes into the ledger, behind all that stands there of the person. The insert of the next version is the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postlaw_common.errors import Conflict, Unavailable
from postlaw_common.ids import new_id
from postlaw_common.store import AlreadyExists
from postlaw_consent.domain.event import Actor, ConsentEvent, Kind, Route
from postlaw_consent.domain.fact import Fact
from postlaw_consent.domain.fold import fold
from postlaw_consent.domain.gate import Standing, facts_of
from postlaw_consent.domain.particulars import NONE_STATED, Particulars
from postlaw_consent.domain.scope import Scope
from postlaw_consent.ledger import Entry, Ledger, Line
from postlaw_consent.referring import referring

_TRIES = 20


@dataclass(frozen=True, slots=True)
class Request:
    """Who says stop to what, and how: `kind` is one of CLOSING. `campaign_id`: of the message whose link was used. `source`: why, where it
    is no act of the person. `unless_standing`: a pause, or a no to tracking, that stands just so already is not said again; a withdrawal
    never is."""

    tenant_id: str
    address_key: bytes
    scope: Scope
    route: Route
    actor: Actor
    on_behalf_of: Actor | None = None
    campaign_id: str = ""
    idempotency_key: str = ""
    kind: Kind = "withdrawn"
    particulars: Particulars = NONE_STATED
    unless_standing: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class Committed:
    """`repeated`: it stood there before. `unread`: it went in behind what was known of the person, and nothing was read."""

    line: Line
    repeated: bool = False
    unread: bool = False


class Committing:
    """`known`: where somebody stood when it was last looked at; NOBODY where that is not known."""

    def __init__(self, ledger: Ledger, known: Callable[[str, bytes], Standing], now_us: Callable[[], int]) -> None:
        self._ledger = ledger
        self._known = known
        self._now_us = now_us

    async def __call__(self, request: Request, *, read: bool = False) -> Committed:
        """The act that stands in the ledger. `read`: whatever is known. Raises Conflict for a reused idempotency key, Invalid for a
        reference to nothing, StoreUnavailable, and Unavailable where others write too fast."""
        if not read and (line := await self._behind(request, self._known(request.tenant_id, request.address_key))) is not None:
            return Committed(line, unread=True)
        for _ in range(_TRIES):
            history = await self._ledger.history(request.tenant_id, request.address_key)
            if _standing(history, request) is not None:
                # A stale read would hide that the scope was reopened since: look again behind a fence.
                await self._ledger.fence()
                history = await self._ledger.history(request.tenant_id, request.address_key)
                if (line := _standing(history, request)) is not None:
                    return Committed(line, repeated=True)
            try:
                return Committed(await self._ledger.append(self._entry(request, [line.fact for line in history], history)))
            except AlreadyExists:
                continue
        raise Unavailable("This person's entries change too fast right now. Try again.", retry_after_s=1)

    async def _behind(self, request: Request, known: Standing) -> Line | None:
        """The withdrawal, behind what is `known` of the person: who has just been mailed need not be read first. None where that cannot
        be, or somebody has written meanwhile."""
        plain = request.kind == "withdrawn" and not request.idempotency_key and not request.particulars.refers_to
        if not plain or not known or not isinstance(known, str):
            return None
        facts = facts_of(known)
        if fold(facts).standing_withdrawal(request.scope) is not None:
            return None
        try:
            return await self._ledger.append(self._entry(request, facts))
        except AlreadyExists:
            return None

    def _entry(self, request: Request, facts: Sequence[Fact], history: Sequence[Line] = ()) -> Entry:
        """Behind the `facts` of a person; `history`: their lines, where the particulars may refer to one."""
        now = self._now_us()
        event = ConsentEvent(
            event_id=new_id("evt"),
            tenant_id=request.tenant_id,
            address_key=request.address_key,
            version=facts[-1].version + 1 if facts else 1,
            kind=request.kind,
            scope=request.scope,
            route=request.route,
            at_us=max([now, *(fact.at_us for fact in facts)]),  # clocks of two instances may differ
            recorded_at_us=now,
            actor=request.actor,
            on_behalf_of=request.on_behalf_of,
            source=request.source,
            campaign_id=request.campaign_id,
            idempotency_key=request.idempotency_key,
            particulars=referring(request.particulars, ((line.fact.version, line.event().event_id) for line in history)),
        )
        return self._ledger.entry(event)


def _standing(history: list[Line], request: Request) -> Line | None:
    """The earlier withdrawal that this request repeats; None where a new one is needed."""
    if request.idempotency_key:
        for line in history:
            if line.event().idempotency_key == request.idempotency_key:
                if line.fact.kind != request.kind or line.fact.scope != request.scope.key:
                    raise Conflict("This idempotency key was used for something else of this person.", type="idempotency-key-reused")
                return line
    state = fold(line.fact for line in history)
    version: int | None = None  # each complaint, objection, restriction … is an act of its own
    if request.kind == "withdrawn":
        version = state.standing_withdrawal(request.scope)
    elif request.unless_standing and request.kind == "paused":
        version = state.standing_pause(request.particulars.until_us)
    elif request.unless_standing and request.kind == "tracking_withdrawn":
        version = state.standing_no_to_tracking()
    return next((line for line in history if line.fact.version == version), None)
