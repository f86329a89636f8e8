"""From a form to a mail, from the mail to a click, from the click to a campaign: the whole mesh, with the mail caught."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.consent.v1.consent_pb2_grpc import ConsentServiceStub
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise

from .signing_up import WORDING, acme, another, link_in

JANE = "jane@example.com"


@promise("G12", "G2", "G9")
async def test_who_signs_up_and_says_yes_again_is_mailed_and_nobody_before(tmp_path: Path) -> None:
    async with acme(tmp_path) as customer:
        assert (await customer.sign_up(JANE)).status_code == 200
        mail = await customer.mail_to(JANE)
        assert (await customer.campaign()).totals.refused == 1  # a request is no consent
        assert len(customer.mails_to(JANE)) == 1

        text = mail.get_content()
        for words in ("Acme", "1 High Street, Dublin", "hello@acme.example"):
            assert words in text
        assert mail.get_content_type() == "text/plain"  # nothing in it that could tell whether it was read
        path = link_in(mail, "/c/")
        for _ in range(2):  # as a mail scanner does
            assert WORDING in (await customer.http.get(path)).text
        assert await customer.kinds(JANE) == ["requested"]

        done = await customer.http.post(path, data={"confirm": "yes"})
        assert "You are signed up" in done.text
        again = await customer.http.post(path, data={"confirm": "yes"})
        assert "You had confirmed this before" in again.text
        assert await customer.kinds(JANE) == ["requested", "confirmed"]
        requested, confirmed = await customer.events(JANE)
        assert confirmed.particulars.refers_to == requested.event_id
        assert confirmed.notice_hash == requested.notice_hash != b""
        assert set(confirmed.particulars.held) == {
            consent.EVIDENCE_AFFIRMATIVE_ACT, consent.EVIDENCE_PURPOSE, consent.EVIDENCE_REQUESTER_NAMED, consent.EVIDENCE_WITHDRAWAL_INFO,
            consent.EVIDENCE_CONTACT_SHOWN, consent.EVIDENCE_SEPARATE,
        }  # fmt: skip
        assert JANE.encode() not in requested.SerializeToString()

        assert (await customer.campaign()).totals.sent == 1
        assert "News." in (await customer.mail_to(JANE, 2)).get_content()


@promise("M6", "G12")
async def test_whoever_stopped_the_mail_gets_no_confirmation_mail_and_the_form_does_not_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTLAW_CONSENT_CONFIRMATIONS_APART_S", "0")  # so that no cap is why
    async with acme(tmp_path) as customer:
        await customer.sign_up(JANE)
        mail = await customer.mail_to(JANE)
        assert (await customer.http.post(link_in(mail, "/u/"), data={"stop": "this"})).status_code == 200
        assert "no longer counts" in (await customer.http.post(link_in(mail, "/c/"), data={"confirm": "yes"})).text
        answers = [(await customer.sign_up(address)) for address in (JANE, "new@example.com")]
        assert len({(answer.status_code, answer.text) for answer in answers}) == 1
        for single in (False, True):  # no form of anybody's reopens what she closed
            await customer.sign_up(JANE, single=single)
        await customer.mail_to("new@example.com")
        await customer.settled()
        assert await customer.kinds(JANE) == ["requested", "withdrawn"]
        assert len(customer.mails_to(JANE)) == 1


@promise("M6", "G2")
async def test_a_single_message_that_was_decided_before_a_stop_is_not_handed_over_after_it(tmp_path: Path) -> None:
    """The second gate is the same for it as for a campaign's."""
    async with acme(tmp_path) as customer:
        await customer.sign_up(JANE)
        mail = await customer.mail_to(JANE)
        [requested] = await customer.events(JANE)
        m, key = customer.mesh, requested.address_key
        partition = m.running.backing.placement().partition(customer.tenant_id, key)
        decide = m.channel("consent", as_service="sending", caller=m.caller(customer.tenant_id, ["decisions:read"]))
        scope = consent.Scope(list_id=customer.list_id)
        asked = consent.GetDecisionsRequest(scope=scope, partition=partition, address_keys=[key], campaign_id="x")
        stub: Any = ConsentServiceStub(decide)
        decided = await stub.GetDecisions(asked)
        await customer.http.post(link_in(mail, "/u/"), data={"stop": "this"})
        send: Any = SendingServiceStub(m.channel("sending", as_service="consent", caller=m.caller(customer.tenant_id, ["messages:send"])))
        await send.SendMessage(
            sending.SendMessageRequest(
                idempotency_key="late",
                template=sending.SendMessageRequest.TEMPLATE_CONFIRM_SIGN_UP,
                sender=sending.Sender(name="Acme", address="news@acme.example", postal_address="1 High Street, Dublin"),
                scope=scope,
                address_key=key,
                address=JANE,
                action_url="https://mail.example/c/x",
                opt_out_token=b"x",
                consent_offset=decided.consent_offset,
                generation=decided.generation,
                decided_at_us=decided.decided_at.ToMicroseconds(),
                expires_at_us=decided.expires_at.ToMicroseconds(),
            )
        )
        messages = m.running.backing.store("sending").collection("single_messages")
        async with patience():
            while (late := await messages.get(f"{customer.tenant_id}/late")) is None or late.get("open"):
                await asyncio.sleep(0.05)
        assert (late["state"], late["reason"]) == ("refused", "withdrawn_before_hand_off")
        assert len(customer.mails_to(JANE)) == 1


@promise("G12")
async def test_an_address_that_others_sign_up_everywhere_gets_few_mails_over_all_customers(tmp_path: Path) -> None:
    async with acme(tmp_path) as customer:
        customers = [customer, *[await another(customer, f"Shop {number}") for number in range(7)]]
        for number, one in enumerate(customers):
            await one.sign_up(f"Jane+{number}@example.com")
            await one.sign_up(f"jane+{number}@example.com")
        await customer.settled()
        await customer.sign_up("other@example.com")
        await customer.mail_to("other@example.com")
        mails = [mail for mail in customer.catcher.last if mail.recipients != ["other@example.com"]]
        assert len(mails) == 5


@promise("G2")
async def test_a_single_opt_in_is_an_express_consent_to_the_words_on_the_form(tmp_path: Path) -> None:
    async with acme(tmp_path) as customer:
        await customer.sign_up(JANE, single=True)
        await customer.settled()
        [given] = await customer.events(JANE)
        assert (given.kind, given.route) == (consent.ConsentEvent.KIND_GIVEN, consent.ROUTE_PAGE)
        assert given.sealed_profile_evidence
        assert (await customer.campaign()).totals.sent == 1
