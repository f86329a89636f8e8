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


_often = lru_cache(4096)(term)  # what many entries share


def terms_of(entry: audit.Entry, found: About) -> set[bytes]:
    """`found`: whom and what the event in it is about."""
    tenant_id, context = entry.tenant_id, entry.context
    terms = {_often(tenant_id, ALL, ""), _often(tenant_id, ACTION, entry.type), term(tenant_id, OBJECT, entry.subject)}
    terms.update(map(person_term, found.people))
    terms.update(term(tenant_id, SUBSCRIBER, one) for one in found.subscribers)
    terms.update(_often(tenant_id, CAMPAIGN, one) for one in found.campaigns)
    terms.update(term(tenant_id, OBJECT, one) for one in found.objects)
    for name in ("actor", "on_behalf_of"):
        if name in context:
            terms.add(_often(tenant_id, ACTOR, context[name]))
    if "traceparent" in context:
        terms.add(term(tenant_id, TRACE, trace_of(context["traceparent"])))
    if "request" in context:
        terms.add(term(tenant_id, REQUEST, context["request"]))
    return terms


def trace_of(traceparent: str) -> str:
    """The trace's id within a W3C traceparent; empty where it is none."""
    return traceparent.split("-")[1] if traceparent.count("-") >= 3 else ""
