"""One message of a customer's to one person: from an approved template, and through every gate."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Received
from postlaw_common.errors import Conflict, Invalid, NotFound
from postlaw_common.testing.promises import promise
from postlaw_sending.campaigns.keys import CampaignKeyDestroyed
from services.sending.tests.campaigns.played import address_key, refusal
from services.sending.tests.campaigns.test_single_messages import jobs

if TYPE_CHECKING:
    from .conftest import Opened, World

SENDER = sending.Sender(name="Shop", address="orders@shop.example", postal_address="1 Main St")


async def approved(world: World, kind: sending.TemplateClass.ValueType = sending.TEMPLATE_CLASS_TRANSACTIONAL) -> str:
    written = await world.stub.CreateTemplate(
        sending.CreateTemplateRequest(
            name="Receipt",
            template_class=kind,
            template=sending.Template(subject="Your order {{ order }}", text="Dear {{ name }}, it is order {{ order }}."),
        )
    )
    await world.as_approver().ApproveTemplateVersion(sending.TemplateVersionRequest(template_id=written.template_id, version=1))
    return written.template_id


async def send(world: World, template_id: str, **said: Any) -> str:
    asked: dict[str, Any] = {"template_version": 1, "sender": SENDER, "subscriber_id": "sub_1", "fields": {"order": "7"}}
    if "address" in said:
        del asked["subscriber_id"]
    return (await world.stub.SendSingle(sending.SendSingleRequest(template_id=template_id, **asked | said))).message_id


async def message(world: World, record: Received) -> EmailMessage:
    sealed = sending.SealedBatch.FromString(record.value)
    opened = await world.opener(sealed, record.partition)
    [recipient] = opened.recipients
    parsed = email.message_from_bytes(opened.compiled.render(recipient), policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    assert not parsed.defects
    return parsed


@promise("G2")
async def test_it_is_made_of_the_approved_words_once_a_key(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(3))
        template_id = await approved(world)
        first = await send(world, template_id, idempotency_key="order-7")
        assert await send(world, template_id, idempotency_key="order-7") == first
        [record] = await jobs(world)
        assert record.partition == world.platform.placement().partition(sealed_of(record).tenant_id, address_key(1))
        assert sealed_of(record).scope == consent.Scope(everything=True)
        assert b"p1@example.com" not in record.value
        made = await message(world, record)
        assert (made["To"], made["Subject"]) == ("p1@example.com", "Your order 7")
        body = made.get_body()
        assert body is not None
        assert "Dear P1, it is order 7." in body.get_content()
        [asked] = world.law.asked
        assert (asked.message.message_class, asked.scope.everything) == ("transactional", True)


async def test_somebody_on_no_list_is_reached_by_address(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(1))
        await send(world, await approved(world), address="guest@example.com", fields={"order": "8", "name": "Guest"})
        [record] = await jobs(world)
        assert (await message(world, record))["To"] == "guest@example.com"


@promise("M6")
async def test_whoever_may_not_have_it_does_not_get_it(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(3))
        world.law.verdicts = {address_key(1): refusal("PAUSED")}
        with pytest.raises(Conflict) as refused:
            await send(world, await approved(world))
        assert (refused.value.type, "PAUSED" in refused.value.detail) == ("not-allowed", True)
        assert not await jobs(world)


async def test_marketing_and_what_nobody_approved_go_to_nobody(open_world: Opened) -> None:
    async with open_world(unverified_domains="deny") as world:
        world.people.add_list("lst_1", range(3))
        with pytest.raises(Invalid):
            await send(world, await approved(world, sending.TEMPLATE_CLASS_MARKETING))
        with pytest.raises(NotFound):
            await send(world, "tpl_none")
        with pytest.raises(Invalid):
            await send(world, await approved(world), subscriber_id="")
        with pytest.raises(Conflict) as unverified:
            await send(world, await approved(world))
        assert unverified.value.type == "domain-not-verified"
        assert not await jobs(world)


async def test_a_template_that_was_retired_meanwhile_is_not_sent(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(3))
        template_id = await approved(world)
        await send(world, template_id)
        await world.stub.RetireTemplateVersion(sending.TemplateVersionRequest(template_id=template_id, version=1))
        [record] = await jobs(world)
        with pytest.raises((Conflict, CampaignKeyDestroyed)):
            await message(world, record)


def sealed_of(record: Received) -> sending.SealedBatch:
    return sending.SealedBatch.FromString(record.value)
