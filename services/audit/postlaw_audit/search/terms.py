"""What an entry is found by: 8 bytes for each thing that somebody may ask for, all of one customer.

Two things may share a term, so whoever reads the index reads the entry as well. A person's term is the end of their address key, which is a
keyed hash of one customer's already; every other is a hash of the customer, the kind and the value.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw_audit.search.about import About

ALL, ACTOR, OBJECT, ACTION = "all", "actor", "object", "action"
CAMPAIGN, SUBSCRIBER, TRACE, REQUEST = "campaign", "subscriber", "trace", "request"
TERM = 8  # bytes


def term(tenant_id: str, kind: str, value: str) -> bytes:
    return hashlib.blake2b(f"{tenant_id}\0{kind}\0{value}".encode(), digest_size=TERM).digest()


def person_term(address_key: bytes) -> bytes:
    return address_key[-TERM:].rjust(TERM, b"\0")


def terms_of(entry: audit.Entry, found: About) -> tuple[set[bytes], set[bytes]]:
    """Those that many entries have, and those that few have. `found`: whom and what the event in it is about."""
    tenant_id, context = entry.tenant_id, entry.context
    actor, on_behalf_of, request, traceparent = [context.get(name, "") for name in _NAMES]
    shared = {*_of_many(tenant_id, entry.type, actor, on_behalf_of)}
    own = {term(tenant_id, OBJECT, entry.subject), *_of_a_call(tenant_id, request, traceparent), *map(person_term, found.people)}
    for one in found.campaigns:
        shared.add(term(tenant_id, CAMPAIGN, one))
    for one in found.subscribers:
        own.add(term(tenant_id, SUBSCRIBER, one))
    for one in found.objects:
        own.add(term(tenant_id, OBJECT, one))
    return shared, own


_NAMES = ("actor", "on_behalf_of", "request", "traceparent")


@lru_cache(1024)
def _of_many(tenant_id: str, type: str, *actors: str) -> tuple[bytes, ...]:
    return (term(tenant_id, ALL, ""), term(tenant_id, ACTION, type), *(term(tenant_id, ACTOR, one) for one in actors if one))


@lru_cache(1024)
def _of_a_call(tenant_id: str, request: str, traceparent: str) -> tuple[bytes, ...]:
    named = ((REQUEST, request), (TRACE, trace_of(traceparent)))
    return tuple(term(tenant_id, kind, value) for kind, value in named if value)


def trace_of(traceparent: str) -> str:
    """The trace's id within a W3C traceparent; empty where it is none."""
    return traceparent.split("-")[1] if traceparent.count("-") >= 3 else ""
