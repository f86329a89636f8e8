"""The whole mesh: from what somebody answers to a campaign to the customer's own people, and to the closed gates."""

from __future__ import annotations

import asyncio
import smtplib
from pathlib import Path

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import Invalid
from postlaw_common.free_ports import free_port
from postlaw_common.testing.promises import promise

from .signing_up import acme
from .test_returned_mail_of_the_mesh import HOST, acts_of, consented
from .test_team_addresses import TEAM, add, confirmed, stub

ANN, BOB = "ann@example.com", "bob@example.com"


async def answered(port: int, sender: str, to: str, mail: str) -> None:
    def send() -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as server:
            server.sendmail(sender, [to], mail.encode())

    await asyncio.to_thread(send)


@promise("M5", "M6")
async def test_an_answer_reaches_the_customers_people_and_one_that_says_stop_stops_whom_its_address_names(tmp_path: Path) -> None:
    port = free_port()
    async with acme(tmp_path, inbound=f"127.0.0.1:{port}", return_host=HOST) as customer:
        await consented(customer, ANN, BOB)
        with pytest.raises(Invalid, match="nobody"):
            await customer.campaign(forward_answers_to=(await add(customer)).team_address_id)
        team = await confirmed(customer)
        await customer.campaign(forward_answers_to=team)
        of_ann, of_bob = (str(customer.mails_to(person)[0]["Reply-To"]).strip("<>") for person in (ANN, BOB))
        assert of_ann.endswith(f"@{HOST}") and of_ann != of_bob

        question = f"From: Ann <{ANN}>\nTo: {of_ann}\nSubject: Re: The news\nMessage-ID: <1@example.com>\n\nHow much is it?\n"
        for _ in range(2):  # the first 250 was lost on its way
            await answered(port, ANN, of_ann, question)
        passed_on = await customer.mail_to(TEAM, 2)
        assert (passed_on["From"], passed_on["Reply-To"], passed_on["Subject"]) == (
            "Ann via Acme <news@acme.example>", ANN, "Re: The news",
        )  # fmt: skip
        assert passed_on.get_content().strip() == "How much is it?"
        with pytest.raises(smtplib.SMTPDataError) as refused:  # the team's mailbox leads back to us
            await answered(port, TEAM, of_ann, passed_on.as_string())
        assert refused.value.smtp_code == 554
        for nobodys in (of_ann.replace(of_ann[-30:], of_bob[-30:]), "somebody@elsewhere.example"):
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                await answered(port, ANN, nobodys, question)

        await answered(port, ANN, of_bob, f"From: {ANN}\nTo: {of_bob}\nSubject: Re: The news\nMessage-ID: <2@example.com>\n\nUnsubscribe\n")
        assert [kind for kind, _, _ in await acts_of(customer, BOB)] == ["KIND_WITHDRAWN"]
        assert (await customer.campaign()).totals.refused == 1
        assert "withdrawn" not in await customer.kinds(ANN)

        await stub(customer).RemoveTeamAddress(sending.RemoveTeamAddressRequest(team_address_id=team))
        with pytest.raises(smtplib.SMTPDataError) as refused:
            await answered(port, ANN, of_ann, question.replace("<1@", "<3@"))
        assert refused.value.smtp_code == 550
        assert len(customer.mails_to(TEAM)) == 2
