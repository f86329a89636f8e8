"""A mail that somebody shows: whether it is one of the customer's that asks, and to whom it went. The log alone is asked, so it also tells
of people who were erased, and of keys that sign no more."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from postlaw_audit.evidence.account import Fact
from postlaw_audit.evidence.mail import (
    DOMAIN_CHANGED,
    SETTLED,
    Field,
    NotOurs,
    check,
    delivery_in,
    keys_in,
    mails_in,
    nearest,
    signatures,
    values,
)
from postlaw_audit.evidence.schema import schema_of
from postlaw_audit.evidence.verify import fact_of
from postlaw_audit.search.calls import People
from postlaw_audit.search.events import Event
from postlaw_audit.search.searching import Question, Search
from postlaw_common.telemetry import get_logger

_MOST = 1_000  # changes of one domain, or deliveries to one person: the newest
_MOST_DOMAINS = 10
_log = get_logger("audit.evidence")


@dataclass(frozen=True, slots=True)
class Ours:
    """`header`: as it was shown. `attached`: to the mail that was shown. `domain_id`: the aggregate whose events tell the key. `key`: as
    the log has it, with the entry that told first that it was in use."""

    header: bytes
    attached: bool
    body_checked: bool
    message_id: str
    domain: str
    domain_id: str
    key: Fact
    signed_at: int
    delivery: Fact
    address: str
    key_events: Sequence[Event]

    @property
    def selector(self) -> str:
        return str(self.key["selector"])


@dataclass(frozen=True, slots=True)
class _Signed:
    domain: str
    key: Fact
    signed_at: int
    events: Sequence[Event]


_Keys = tuple[list[Event], dict[str, Fact]]  # a domain's events, and its keys by selector


class ShownMails:
    def __init__(self, search: Search, people: People) -> None:
        self._search = search
        self._people = people

    async def of(self, tenant_id: str, mail: bytes) -> Ours:
        """The first that is this customer's, of the mail and those attached to it. Raises NotOurs, whose message is part of a sentence: "it
        bears no DKIM signature"; Unavailable."""
        wrong, known = list[ValueError](), dict[str, _Keys]()
        try:
            for fields, body in await asyncio.to_thread(mails_in, mail):
                try:
                    return await self._judged(tenant_id, fields, body, known, attached=bool(wrong))
                except ValueError as refused:
                    wrong.append(refused)
        except ValueError as unreadable:
            raise NotOurs(str(unreadable), near=False) from unreadable
        raise NotOurs(nearest(wrong), near=False)

    async def _judged(self, tenant_id: str, fields: list[Field], body: bytes | None, known: dict[str, _Keys], *, attached: bool) -> Ours:
        """Raises ValueError."""
        signed = await self._signed(tenant_id, fields, body, known)
        address = _address(values(fields, "to")[0])
        return Ours(
            header=b"".join(line + b"\r\n" for _, line in fields),
            attached=attached,
            body_checked=body is not None,
            message_id=values(fields, "message-id")[0],
            domain=signed.domain,
            domain_id=_domain_id(tenant_id, signed.domain),
            key=signed.key,
            signed_at=signed.signed_at,
            delivery=delivery_in(await self._deliveries(tenant_id, address), fields, signed.domain, signed.signed_at),
            address=address,
            key_events=signed.events,
        )

    async def _signed(self, tenant_id: str, fields: list[Field], body: bytes | None, known: dict[str, _Keys]) -> _Signed:
        """The first signature by a key of this customer's that holds. `known`: the keys of the domains that were asked for, a few at most.
        Raises ValueError with what is wrong with the first that does not."""
        wrong = ""
        for at, said in signatures(fields):
            domain = said.get("d", "").lower()
            if domain not in known:
                if len(known) == _MOST_DOMAINS:
                    break
                known[domain] = await self._keys(tenant_id, domain)
            events, keys = known[domain]
            key = keys.get(said.get("s", ""))
            if key is None:
                continue
            try:
                signed_at = await asyncio.to_thread(check, fields, body, at, said, key)
            except ValueError as found:
                wrong = wrong or str(found)
                continue
            return _Signed(domain, key, signed_at, [event for event in events if key["selector"].encode() in event.data])
        raise NotOurs(wrong or "it bears no signature of a key that was ever yours", near=bool(wrong))

    async def _keys(self, tenant_id: str, domain: str) -> _Keys:
        subject = _domain_id(tenant_id, domain)
        found = await self._search(Question(tenant_id, object=subject, actions=(DOMAIN_CHANGED,)), _MOST)
        events = [event for event, _ in reversed(found.events)]
        return events, keys_in(facts_of(events, [subject]), domain)

    async def _deliveries(self, tenant_id: str, address: str) -> list[Fact]:
        keys, _ = await self._people.named(address, "")
        found = await self._search(Question(tenant_id, people=tuple(keys), actions=(SETTLED,)), _MOST) if keys else None
        return facts_of([event for event, _ in reversed(found.events)], [key.hex() for key in keys]) if found else []


def facts_of(events: Sequence[Event], about: Sequence[str]) -> list[Fact]:
    """`about`: address keys in hex, ids of people and of what events are of. An event whose bytes cannot be read states no fact."""
    schema = json.loads(json.dumps(schema_of({event.entry.type for event in events})))
    facts = list[Fact]()
    for event in events:
        try:
            fact = fact_of(event.index, list(event.pieces), list(about), schema)
        except (ValueError, LookupError, TypeError) as unreadable:
            _log.warning("audit_event_states_no_fact", index=event.index, type=event.entry.type, failure=type(unreadable).__name__)
            continue
        if fact is not None:
            facts.append(fact)
    return facts


def _domain_id(tenant_id: str, domain: str) -> str:
    return f"{tenant_id}/{domain}"


def _address(to: str) -> str:
    found = re.search(r"<([^<>\s]+)>\s*$", to)
    return found[1] if found else to
