"""Dataclass to protobuf and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.errors import Invalid
from postlaw_consent import wire
from postlaw_consent.domain.event import Actor, ConsentEvent, Kind, Route
from postlaw_consent.domain.fact import fact_of, held_by
from postlaw_consent.domain.particulars import CLAIMABLE, NONE_STATED, RELATIONSHIPS, Grade, Objection, Particulars
from postlaw_consent.domain.scope import EVERYTHING, PLATFORM, Scope, scope_of
from postlaw_consent.ledger import Entry, document_of

texts = st.text(max_size=20)
ids = st.text(min_size=1, max_size=16).filter(str.isprintable)
kinds = st.sampled_from(("list", "topic", "brand"))
scopes = st.one_of(st.just(EVERYTHING), st.builds(Scope, kinds, ids))
actors = st.builds(Actor, st.sampled_from(["api_key", "user", "service", "person", "operator"]), texts)
times = st.integers(0, 4_000_000_000_000_000)
evidence = st.lists(st.sampled_from(sorted(CLAIMABLE)), unique=True, max_size=4).map(tuple)
said = st.builds(
    Particulars,
    relationship=st.sampled_from(["", *RELATIONSHIPS]),
    held=evidence,
    denied=evidence,
    territories=st.lists(st.sampled_from(["DE", "CA", "US"]), unique=True, max_size=3).map(tuple),
    grade=st.sampled_from(["", *get_args(Grade)]),
    ended_us=st.one_of(st.none(), times),
    until_us=st.one_of(st.none(), times),
    recipient_kind=st.sampled_from(["", "natural", "legal"]),
    address_kind=st.sampled_from(["", "personal", "named_business", "impersonal"]),
    time_zone=st.sampled_from(["", "Europe/Berlin"]),
    language=texts,
    method=texts,
    controller=texts,
    purposes=st.lists(texts, max_size=3).map(tuple),
    lawful_basis=texts,
    refers_to=texts,
    refers_to_version=st.integers(0, 99),
    objection=st.sampled_from(["", *get_args(Objection)]),
)
events = st.builds(
    ConsentEvent,
    event_id=texts,
    tenant_id=texts,
    address_key=st.binary(min_size=33, max_size=33),
    version=st.integers(1, 10**8 - 1),
    kind=st.sampled_from(get_args(Kind)),
    scope=scopes | st.just(PLATFORM),
    route=st.sampled_from(get_args(Route)),
    at_us=times,
    recorded_at_us=times,
    actor=actors,
    on_behalf_of=st.one_of(st.none(), actors),
    source=texts,
    notice_hash=st.binary(max_size=32),
    sealed_profile_evidence=st.binary(max_size=40),
    sealed_proof_evidence=st.binary(max_size=40),
    campaign_id=texts,
    idempotency_key=texts,
    particulars=st.one_of(st.just(NONE_STATED), said),
)


@given(events)
def test_an_event_survives_the_wire(event: ConsentEvent) -> None:
    assert wire.decode(wire.encode(event)) == event


@given(events)
def test_people_are_decided_on_by_what_the_event_says(event: ConsentEvent) -> None:
    document = document_of(Entry(event, wire.encode(event), 3))
    whole = wire.decode(document["event"])
    fact = fact_of(whole.version, document["fact"])
    assert (fact.kind, fact.scope, fact.route, fact.at_us) == (whole.kind, whole.scope.key, whole.route, whole.at_us)
    terms, stated = fact.terms, whole.particulars
    assert terms.relationship == RELATIONSHIPS.get(stated.relationship)
    assert terms.held == (held_by(whole) if whole.kind in ("given", "confirmed", "renewed", "implied", "tracking_given") else set())
    assert (terms.denied, terms.territories) == (set(stated.denied), tuple(sorted(stated.territories)))
    assert (terms.ended_us, terms.until_us, terms.time_zone) == (stated.ended_us, stated.until_us, stated.time_zone)
    assert (terms.recipient_kind or "", terms.address_kind or "") == (stated.recipient_kind, stated.address_kind)
    assert (terms.objection, terms.refers_to) == (stated.objection, stated.refers_to_version)


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({}, {"purpose"}),
        ({"source": "the shop's checkout"}, {"purpose", "proof_ref"}),
        ({"notice_hash": b"n" * 32}, {"purpose", "proof_ref", "wording_version"}),
        ({"sealed_attestation": b"sealed", "route": "import"}, {"purpose", "proof_ref"}),
        ({"source": "somebody says so", "particulars": Particulars(held=("purpose",), grade="none")}, set()),
    ],
)
def test_what_proves_a_consent_follows_from_the_record_and_is_never_claimed(change: dict[str, Any], held: set[str]) -> None:
    bare = ConsentEvent("", "ten", b"", 1, "given", EVERYTHING, "api", 1, 1, Actor("user", "u"), particulars=Particulars(held=("purpose",)))
    assert held_by(replace(bare, **change)) == held


@given(scopes)
def test_a_scope_survives_the_wire_and_its_key(scope: Scope) -> None:
    assert wire.scope_from_wire(wire.scope_to_wire(scope)) == scope
    assert scope_of(scope.key) == scope


@pytest.mark.parametrize(
    "wrong", [pb.Scope(), pb.Scope(everything=False), pb.Scope(list_id=""), pb.Scope(topic="ü" * 33), pb.Scope(topic="news\n")]
)
def test_a_scope_that_names_nothing_or_too_much_is_refused_with_its_field(wrong: pb.Scope) -> None:
    with pytest.raises(Invalid) as refused:
        wire.scope_from_wire(wrong)
    assert [field.field for field in refused.value.fields] == ["scope"]
