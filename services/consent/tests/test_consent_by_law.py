"""The first gate asks the law: where the sender stands, where the person may be, what is known of the consent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.errors import Invalid, Unavailable
from postlaw_common.testing.promises import promise
from postlaw_consent.domain.message import Asked, Sender
from postlaw_consent.domain.scope import EVERYTHING, Belongs
from postlaw_consent.senders import Senders
from postlaw_consent.wire import evidence_to_wire, microseconds, timestamp
from postlaw_law.loading import the_law

from .world import HELD

if TYPE_CHECKING:
    from .world import World

both = pytest.mark.parametrize("bulk", [False, True])
DAY = 86_400_000_000


async def codes(world: World, person: bytes, **more: Any) -> list[str]:
    answer = await world.decide(person, **more)
    verdict = answer.verdicts[answer.decisions[0].verdict]
    assert verdict.allow == answer.decisions[0].allow
    return [reason.code for reason in verdict.reasons]


def particulars(*without: str, **more: Any) -> pb.Particulars:
    return pb.Particulars(held=evidence_to_wire(name for name in HELD if name not in without), **more)


@both
@promise("M8", "M10")
async def test_each_person_is_decided_on_by_the_laws_of_all_places_that_evidence_names(world: World, bulk: bool) -> None:
    person = world.person("ada")
    await world.given(person, particulars=particulars(territories=["DE", "CA"]), wording="Yes.")
    answer = await world.decide(person, bulk=bulk)
    verdict = answer.verdicts[answer.decisions[0].verdict]
    assert dict(verdict.bases) == dict.fromkeys(("CA", "EU-DE", "EU-IE"), "express_consent")
    assert verdict.mechanism_days == 60
    assert "unsubscribe" in verdict.duties
    assert not verdict.open_tracking


@promise("G2")
async def test_a_consent_without_the_evidence_that_a_law_asks_carries_nothing_and_the_section_is_named(world: World) -> None:
    person = world.person("ada")
    await world.given(person, particulars=particulars("contact_shown", territories=["CA"]), wording="Yes.")
    answer = await world.decide(person)
    [reason] = answer.verdicts[answer.decisions[0].verdict].reasons
    assert reason.code == "CA:EVIDENCE_MISSING"
    assert reason.section
    assert not answer.decisions[0].opt_out_token


async def test_without_wording_or_with_a_claim_of_nothing_the_strictest_law_refuses(world: World) -> None:
    ada, bob = world.person("ada"), world.person("bob")
    await world.given(ada, particulars=particulars(), source="a form")
    await world.given(bob, particulars=particulars(grade=pb.EVIDENCE_GRADE_NONE), wording="Yes.")
    for person in (ada, bob):
        assert "ZZ:EVIDENCE_MISSING" in await codes(world, person)


@promise("M8")
async def test_a_relationship_opens_where_the_law_knows_it_and_until_it_ends(world: World) -> None:
    person = world.person("ada")
    world.identity.stands.territory = "CA"
    bought = world.now_us() - 700 * DAY
    shop = pb.Particulars(relationship="purchase", territories=["CA"])
    await world.given(person, kind=pb.ConsentEvent.KIND_IMPLIED, particulars=shop, source="order 1", given_at=timestamp(bought))
    answer = await world.decide(person)
    assert dict(answer.verdicts[0].bases) == {"CA": "implied_ebr_purchase"}
    world.people["sub_1"] = person
    world.clock_ahead_us = microseconds((await world.explain(subscriber_id="sub_1")).verdict.expires_at) - world.now_us()
    assert await codes(world, person) == ["CA:ROUTE_EXPIRED"]


async def test_a_batch_is_decided_anew_when_the_first_of_its_consents_ends(world: World) -> None:
    person = world.person("ada")
    world.identity.stands.territory = "CA"
    shop = pb.Particulars(relationship="inquiry", territories=["CA"])
    asked = world.now_us() - 181 * DAY
    await world.given(person, kind=pb.ConsentEvent.KIND_IMPLIED, particulars=shop, source="a call", given_at=timestamp(asked))
    answer = await world.decide(person)
    assert microseconds(answer.expires_at) < world.now_us() + 7 * DAY
    world.clock_ahead_us = microseconds(answer.expires_at) - world.now_us() - 1_000_000
    assert await codes(world, person) == []
    world.clock_ahead_us += 1_000_000
    assert await codes(world, person) == ["CA:ROUTE_EXPIRED"]


async def test_what_the_message_is_decides_too(world: World) -> None:
    person = world.person("ada")
    assert await codes(world, person, message=pb.Message(message_class="transactional")) == []
    await world.given(person)
    defective = pb.Message(defects=["no_unsubscribe"])
    assert "ZZ:FORM_NO_UNSUBSCRIBE" in await codes(world, person, message=defective)
    with pytest.raises(Invalid) as refused:
        await world.decide(person, message=pb.Message(message_class="spam", states=["nice"]))
    assert [field.field for field in refused.value.fields] == ["message.message_class", "message.states"]


async def test_the_same_inputs_have_the_same_hash_and_others_another(world: World) -> None:
    first = world.person("ada")
    await world.given(first)
    world.stand_still()
    now = world.now_us()
    once = await world.decide(first)
    assert once.inputs_hash == (await world.decide(first)).inputs_hash
    assert once.inputs_hash != (await world.decide(first, message=pb.Message(states=["similar"]))).inputs_hash
    await world.withdraw(first)
    assert once.inputs_hash != (await world.decide(first)).inputs_hash
    assert once.law_version == the_law().version
    assert microseconds(once.decided_at) == now


async def test_one_decision_is_explained_with_the_events_it_rests_on(world: World) -> None:
    person = world.people["sub_1"] = world.person("ada")
    [event_id] = (await world.given(person)).event_ids
    explained = await world.explain(subscriber_id="sub_1")
    assert (explained.verdict.allow, list(explained.evidence), explained.law_version) == (True, [event_id], the_law().version)
    receipt = await world.withdraw(person)
    explained = await world.explain(subscriber_id="sub_1")
    assert [reason.code for reason in explained.verdict.reasons] == ["SUPPRESSED_TOPIC"]
    assert list(explained.evidence) == [receipt.event_id]


@promise("G7", "G8")
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (pb.ConsentEvent.KIND_COMPLAINED, "SUPPRESSED_ALL"),
        (pb.ConsentEvent.KIND_OBJECTED, "SUPPRESSED_ALL"),
        (pb.ConsentEvent.KIND_RESTRICTED, "RESTRICTED"),
        (pb.ConsentEvent.KIND_PAUSED, "PAUSED"),
        (pb.ConsentEvent.KIND_REFUSED, "SUPPRESSED_TOPIC"),
    ],
)
@both
async def test_whatever_stops_mail_goes_through_the_stop(world: World, kind: pb.ConsentEvent.Kind.ValueType, code: str, bulk: bool) -> None:
    person = world.person("ada")
    await world.given(person)
    receipt = await world.withdraw(person, kind=kind)
    assert receipt.outcome == pb.OUTCOME_STOPPED
    assert world.sending.asked[-1].scope.everything == (code != "SUPPRESSED_TOPIC")
    assert await codes(world, person, bulk=bulk) == [code]
    again = await world.withdraw(person, kind=kind)
    assert (again.already_withdrawn, again.event_id == receipt.event_id) == (False, False)


async def test_what_stops_mail_is_not_recorded_and_what_does_not_is_not_withdrawn(world: World) -> None:
    person = world.person("ada")
    with pytest.raises(Invalid) as refused:
        await world.given(person, kind=pb.ConsentEvent.KIND_COMPLAINED)
    assert [field.field for field in refused.value.fields] == ["consents[0].kind"]
    with pytest.raises(Invalid) as refused:
        await world.withdraw(person, kind=pb.ConsentEvent.KIND_GIVEN)
    assert [field.field for field in refused.value.fields] == ["kind"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (pb.Particulars(held=[pb.EVIDENCE_PROOF_REF]), "held"),
        (pb.Particulars(held=[pb.EVIDENCE_UNSPECIFIED]), "held"),
        (pb.Particulars(held=[pb.EVIDENCE_PURPOSE], denied=[pb.EVIDENCE_PURPOSE]), "denied"),
        (pb.Particulars(territories=["Germany"]), "territories"),
        (pb.Particulars(relationship="friendship"), "relationship"),
        (pb.Particulars(time_zone="Moon/Tranquility"), "time_zone"),
        (pb.Particulars(objection="marketing"), "objection"),
        (pb.Particulars(refers_to_version=1), "refers_to_version"),
        (pb.Particulars(refers_to="evt_of_somebody_else"), "refers_to"),
    ],
)
async def test_particulars_that_no_law_knows_are_refused_by_field(world: World, wrong: pb.Particulars, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        await world.given(world.person("ada"), particulars=wrong)
    assert [one.field.rpartition(".")[2] for one in refused.value.fields] == [field]


async def test_a_consent_is_declared_invalid_by_its_event(world: World) -> None:
    person = world.person("ada")
    [first] = (await world.given(person)).event_ids
    await world.withdraw(person, kind=pb.ConsentEvent.KIND_INVALIDATED, particulars=pb.Particulars(refers_to=first))
    assert await codes(world, person) == ["EU-IE:NO_ROUTE", "ZZ:NO_ROUTE"]
    event = (await world.listed(person)).events[1]
    assert (event.particulars.refers_to, event.particulars.refers_to_version) == (first, 1)


@promise("G2")
async def test_each_of_many_has_the_particulars_of_its_own_row(world: World) -> None:
    people = [world.person(str(number)) for number in range(6)]
    variants = [particulars(territories=["DE"]), particulars(territories=["US"], grade=pb.EVIDENCE_GRADE_NONE)]
    await world.given(people[5])
    await world.record_of_many(people, variants=variants, variant_of=[0, 1, 2, 1, 0, 1], source="a shop")
    stated = {event.address_key: event.particulars.territories for event in await world.events() if event.route == "import"}
    assert [stated[person] for person in people] == [(), ("DE",), ("US",), ("DE",), (), ("DE",)]
    assert await codes(world, people[1]) == []
    with pytest.raises(Invalid):
        await world.record_of_many(people, idempotency_key="import/2", variants=variants, variant_of=[3] * 6)


async def test_where_a_customer_stands_is_asked_once_a_minute_and_kept_while_identity_is_away(world: World) -> None:
    person = world.person("ada")
    await world.given(person)
    await world.decide(person)
    asked = world.identity.asked
    await world.decide(person)
    assert world.identity.asked == asked == 1


async def test_what_identity_said_last_is_kept_and_without_it_nobody_is_decided_on() -> None:
    clock = [0.0]
    answers: list[Sender | Exception] = [Unavailable("gone"), Sender("CA"), Unavailable("gone"), Sender("US")]

    async def ask(tenant_id: str) -> Sender:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    senders = Senders(ask, lambda: clock[0])
    with pytest.raises(Unavailable):
        await senders.get("ten_1")
    territories: list[str] = []
    for _ in range(3):
        territories.append((await senders.get("ten_1")).territory)
        clock[0] += 61
    assert territories == ["CA", "CA", "US"]


def test_a_message_of_no_scope_is_of_every_topic() -> None:
    assert Asked().by(Sender(), Belongs(EVERYTHING)).topic == "*"


@promise("M6")
async def test_a_customer_reports_a_bounce_and_takes_it_back_and_the_persons_consent_stands(world: World) -> None:
    person = world.person("ada")
    await world.given(person)
    answer = await world.withdraw(person, kind=pb.ConsentEvent.KIND_BOUNCED)
    assert answer.outcome == pb.OUTCOME_STOPPED
    assert answer.scope == pb.Scope(everything=True)
    decided = await world.decide(person)
    assert [reason.code for reason in decided.verdicts[0].reasons] == ["BOUNCED"]
    with pytest.raises(Invalid):
        await world.given(person, kind=pb.ConsentEvent.KIND_BOUNCED)  # what stops mail goes through the stop
    await world.given(person, kind=pb.ConsentEvent.KIND_REACHABLE)
    assert await world.allowed(person)


@promise("M6")
async def test_the_gate_asks_for_the_brand_beside_the_list(world: World) -> None:
    person = world.person("ada")
    await world.given(person)
    await world.withdraw(person, scope=pb.Scope(brand="Acme"))
    assert not await world.allowed(person, brand="Acme")
    assert await world.allowed(person, brand="Other")
    assert await world.allowed(person)
    assert not await world.allowed(person, scope=pb.Scope(everything=True), brand="Acme")
    with pytest.raises(Invalid):
        await world.decide(person, brand="A\ncme")


async def test_consents_to_a_brand_are_not_declared_invalid_without_naming_them(world: World) -> None:
    """Which lists are the brand's, the ledger does not say."""
    person = world.person("ada")
    given = await world.given(person, scope=pb.Scope(brand="Acme"))
    with pytest.raises(Invalid):
        await world.withdraw(person, scope=pb.Scope(brand="Acme"), kind=pb.ConsentEvent.KIND_INVALIDATED)
    named = pb.Particulars(refers_to=given.event_ids[0])
    await world.withdraw(person, scope=pb.Scope(brand="Acme"), kind=pb.ConsentEvent.KIND_INVALIDATED, particulars=named)
    assert not await world.allowed(person, brand="Acme")
