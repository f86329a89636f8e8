"""What a campaign asks of the law, and what becomes of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import Invalid, KeyReused, Unavailable
from postlaw_common.testing.promises import promise
from postlaw_law.words import Basis
from postlaw_sending.campaigns.domain.ruling import Ruling, defects, ruling
from postlaw_sending.messages.footer import FORMS, NUMBER_OF
from services.sending.tests.campaigns.played import CONSENTED, DECIDED_AT_S, PARTITIONS, refusal

if TYPE_CHECKING:
    from .conftest import Opened, World

C = sending.Campaign


def by_id(campaign_id: str) -> sending.GetCampaignRequest:
    return sending.GetCampaignRequest(campaign_id=campaign_id)


async def sent_to(world: World, message: consent.Message | None = None) -> sending.Campaign:
    """A campaign with this message, launched, to its end."""
    draft = await (world.draft(message=message) if message else world.draft())
    await world.stub.LaunchCampaign(by_id(draft.campaign_id))
    return await world.until(draft.campaign_id, C.STATUS_FINISHED)


async def texts(world: World, campaign: sending.Campaign) -> dict[str, str]:
    """The text of each one's message, by address, as a worker renders it."""
    found: dict[str, str] = {}
    for partition in range(world.bus.partitions):
        for sealed in await world.records(partition):
            opened = await world.parts.opener.open(sealed, partition)
            for person in opened.recipients:
                if not person.refusals:
                    found[person.address] = opened.compiled.render(person).decode()
    return found


@promise("S8")
async def test_a_message_is_described_in_the_laws_words_or_refused_field_by_field(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(4))
        wrong = consent.Message(message_class="newsletter", states=["similar", "funny"], defects=["no_unsubscribe"])
        with pytest.raises(Invalid) as refused:
            await world.draft(message=wrong)
        assert {error.field for error in refused.value.fields} == {"message.message_class", "message.states", "message.defects"}
        campaign = await world.draft()
        assert campaign.message == consent.Message(message_class="commercial")


@promise("M10")
async def test_the_first_gate_hears_what_the_campaign_says_of_its_messages(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(8))
        campaign = await sent_to(world, consent.Message(states=["similar", "own_goods", "similar"]))
        assert campaign.message == consent.Message(message_class="commercial", states=["own_goods", "similar"])
        assert world.law.asked and all(request.message == campaign.message for request in world.law.asked)


@promise("M6")
async def test_a_campaign_is_of_its_lists_brand_at_the_first_gate_and_in_every_batch(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.brand = "Acme"
        world.people.add_list("lst_1", range(8))
        campaign = await sent_to(world, consent.Message())
        assert campaign.brand == "Acme"
        assert {request.brand for request in world.law.asked} == {"Acme"}
        records = [record for partition in range(PARTITIONS) for record in await world.records(partition)]
        assert records and {(record.scope.list_id, record.brand) for record in records} == {("lst_1", "Acme")}


async def test_a_draft_with_other_words_for_the_law_is_another_draft(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(4))
        first = await world.draft(key="k", message=consent.Message(states=["similar"]))
        assert await world.draft(key="k", message=consent.Message(message_class="commercial", states=["similar"])) == first
        with pytest.raises(KeyReused):
            await world.draft(key="k", message=consent.Message(states=["own_goods", "similar"]))


@promise("M8")
async def test_sending_itself_finds_that_a_message_names_no_contact(open_world: Opened) -> None:
    """CASL s. 6(2)(b). The contact is read once, at the launch: the law decides on what every footer says."""
    async with open_world() as world:
        world.people.add_list("lst_1", range(1_200))
        world.identity.contact = ""
        campaign = await sent_to(world)
        assert list(campaign.message.defects) == ["no_contact_method"]
        assert len(world.law.asked) > 1 and all(request.message == campaign.message for request in world.law.asked)
        assert world.identity.read == 1


@promise("M8")
async def test_the_contact_of_the_launch_stands_in_every_message(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(8))
        draft = await world.draft()
        await world.stub.LaunchCampaign(by_id(draft.campaign_id))
        world.identity.contact = "other@shop.example"
        await world.stub.LaunchCampaign(by_id(draft.campaign_id))  # a repeated request
        campaign = await world.until(draft.campaign_id, C.STATUS_FINISHED)
        assert (list(campaign.message.defects), world.identity.read) == ([], 1)
        assert len(said := await texts(world, campaign)) == 8
        assert all("\r\n1 Main St\r\npost@shop.example\r\n" in text for text in said.values())


async def test_without_identity_a_campaign_stays_a_draft_and_can_be_launched_later(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(8))
        campaign_id = (await world.draft()).campaign_id
        world.identity.away = True
        with pytest.raises(Unavailable):
            await world.stub.LaunchCampaign(by_id(campaign_id))
        assert (await world.get(campaign_id)).status == C.STATUS_DRAFT
        world.identity.away = False
        await world.stub.LaunchCampaign(by_id(campaign_id))
        assert (await world.until(campaign_id, C.STATUS_FINISHED)).totals.sent == 8


@promise("G2")
async def test_whom_the_law_refuses_is_kept_with_its_codes(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(400))
        keys = list(world.people.names)
        world.law.verdicts[keys[0]] = refusal("CA:ROUTE_EXPIRED")
        world.law.verdicts[keys[1]] = refusal("CA:NO_ROUTE", "UK:NOT_SIMILAR")
        world.law.verdicts[keys[2]] = refusal()
        campaign = await sent_to(world)
        assert dict(campaign.totals.refused_by_reason) == {"CA:ROUTE_EXPIRED": 1, "CA:NO_ROUTE,UK:NOT_SIMILAR": 1, "not_allowed": 1}
        request = sending.ListRecipientsRequest(campaign_id=campaign.campaign_id, state=sending.RECIPIENT_STATE_REFUSED)
        listed = (await world.stub.ListRecipients(request)).recipients
        assert {person.address_key: person.reason for person in listed}[keys[0]] == "CA:ROUTE_EXPIRED"


@promise("G1")
async def test_a_batch_carries_on_what_it_was_decided_and_until_when(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(8))
        await sent_to(world)
        sealed = [batch for partition in range(world.bus.partitions) for batch in await world.records(partition)]
        assert {(batch.inputs_hash, batch.decided_at_us, batch.law_version) for batch in sealed} == {
            (b"inputs", DECIDED_AT_S * 1_000_000 + 1, "law-1")
        }
        assert {batch.expires_at_us % 1_000_000 for batch in sealed} == {123_456}


@promise("M3", "M10")
async def test_each_footer_is_true_of_its_person_and_carries_the_label_that_their_law_asks(open_world: Opened) -> None:
    """15 U.S.C. 7704(a)(5)(A)(i) and (B): only prior affirmative consent waives the label; a relationship alone does not."""
    async with open_world() as world:
        world.people.add_list("lst_1", range(4))
        keys = {number: key for key, number in world.people.names.items()}
        duties = ["ad_label", "postal_address"]
        world.law.verdicts[keys[1]] = consent.Verdict(allow=True, bases={"CA": "implied_ebr_purchase"}, duties=["postal_address"])
        world.law.verdicts[keys[2]] = consent.Verdict(allow=True, bases={"US": "opt_out_regime"}, duties=duties)
        world.law.verdicts[keys[3]] = consent.Verdict(allow=True, bases={"US": "opt_out_regime", "CA": "express_consent"}, duties=duties)
        said = await texts(world, await sent_to(world))
        why = {address: text.partition("because ")[2].partition(".")[0] for address, text in said.items()}
        assert why == {
            "p0@example.com": "you subscribed to Weekly",
            "p1@example.com": "of your relationship with Shop",
            "p2@example.com": "your address is on the list Weekly of Shop",
            "p3@example.com": "you subscribed to Weekly",
        }
        assert {address for address, text in said.items() if "\r\nAdvertisement\r\n" in text} == {"p2@example.com", "p3@example.com"}


def test_every_ruling_has_a_footer_and_the_commonest_takes_no_room() -> None:
    found: set[tuple[str, bool]] = set()
    for basis in get_args(Basis):
        for duties in ([], ["ad_label"], ["recognisable_as_advertising"], ["unsubscribe"]):
            ruled = ruling(True, (), {basis}, duties)
            assert ruled.labelled == (duties not in ([], ["unsubscribe"]))
            found.add((ruled.why, ruled.labelled))
    assert found == {(form.why, form.labelled) for form in FORMS} == set(NUMBER_OF)
    said = ruling(True, (), set(CONSENTED.bases.values()), ["unsubscribe"])
    assert NUMBER_OF[said.why, said.labelled] == 0
    assert ruling(False, (), set(), []) == Ruling(("not_allowed",))


def test_a_message_with_a_contact_has_no_defect() -> None:
    assert (defects("post@shop.example"), defects("")) == ((), ("no_contact_method",))
