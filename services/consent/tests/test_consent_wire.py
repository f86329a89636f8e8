"""Dataclass to protobuf and back."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.errors import Invalid
from postlaw_consent import wire
from postlaw_consent.domain.event import Actor, ConsentEvent, Kind, Route
from postlaw_consent.domain.scope import EVERYTHING, Scope, scope_of
from postlaw_consent.domain.standing import Fact
from postlaw_consent.ledger import Entry, act_in, document_of, fact_of

texts = st.text(max_size=20)
ids = st.text(min_size=1, max_size=16)
scopes = st.one_of(st.just(EVERYTHING), ids.map(lambda id: Scope("list", id)), ids.map(lambda id: Scope("topic", id)))
actors = st.builds(Actor, st.sampled_from(["api_key", "user", "service", "person", "operator"]), texts)
times = st.integers(0, 4_000_000_000_000_000)
events = st.builds(
    ConsentEvent,
    event_id=texts,
    tenant_id=texts,
    address_key=st.binary(min_size=33, max_size=33),
    version=st.integers(1, 10**8 - 1),
    kind=st.sampled_from(get_args(Kind)),
    scope=scopes,
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
)


@given(events)
def test_an_event_survives_the_wire(event: ConsentEvent) -> None:
    assert wire.decode(wire.encode(event)) == event


@given(events)
def test_people_are_decided_on_by_what_the_event_says(event: ConsentEvent) -> None:
    document = document_of(Entry(event, wire.encode(event), 3))
    whole = wire.decode(document["event"])
    assert fact_of(document) == Fact(whole.version, whole.kind, whole.scope.key, whole.route, whole.at_us)
    later = document_of(Entry(replace(event, at_us=event.at_us + 1), b"", 3))
    assert act_in(later) == act_in(document)


@given(scopes)
def test_a_scope_survives_the_wire_and_its_key(scope: Scope) -> None:
    assert wire.scope_from_wire(wire.scope_to_wire(scope)) == scope
    assert scope_of(scope.key) == scope


@pytest.mark.parametrize("wrong", [pb.Scope(), pb.Scope(everything=False), pb.Scope(list_id=""), pb.Scope(topic="ü" * 33)])
def test_a_scope_that_names_nothing_or_too_much_is_refused_with_its_field(wrong: pb.Scope) -> None:
    with pytest.raises(Invalid) as refused:
        wire.scope_from_wire(wrong)
    assert [field.field for field in refused.value.fields] == ["scope"]
