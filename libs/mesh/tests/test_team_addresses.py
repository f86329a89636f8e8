"""A customer's own people look at its mail: asked first, then tests and seeds, which count nowhere and stop nobody. The whole mesh."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw_common.errors import Conflict, Invalid
from postlaw_common.testing.promises import promise

from .signing_up import Acme, acme, another, link_in

TEAM = "team@acme.example"
JANE = "jane@example.com"
SENDER = sending.Sender(name="Acme", address="news@acme.example", postal_address="1 High Street, Dublin")


def stub(customer: Acme) -> Any:
    return customer.stub(SendingServiceStub, "sending")


async def add(customer: Acme, *, seed: bool = False) -> sending.TeamAddress:
    return await stub(customer).AddTeamAddress(sending.AddTeamAddressRequest(address=TEAM, sender=SENDER, language="en", seed=seed))


async def confirmed(customer: Acme, *, seed: bool = False) -> str:
    """The id of a team address whose reader has said yes."""
    team = await add(customer, seed=seed)
    mail = await customer.mail_to(TEAM)
    assert (await customer.http.post(link_in(mail, "/t/"), data={"confirm": "yes"})).status_code == 200
    return team.team_address_id


async def draft(customer: Acme) -> str:
    return (
        await stub(customer).CreateCampaign(
            sending.CreateCampaignRequest(
                name="Weekly",
                list_id=customer.list_id,
                sender=SENDER,
                template=sending.Template(subject="The news, {{ name }}", html="<p>News.", text="News."),
            )
        )
    ).campaign_id


def asked_test(campaign_id: str, *ids: str) -> sending.SendTestRequest:
    return sending.SendTestRequest(campaign_id=campaign_id, team_address_ids=ids, fields={"name": "Ann"}, idempotency_key="t1")


def unsubscribing(mail: EmailMessage) -> str:
    link = str(mail["List-Unsubscribe"]).strip("<>").partition(">")[0]
    return "/u/" + link.rpartition("/u/")[2]


async def test_a_test_goes_to_a_confirmed_address_alone_and_counts_nowhere(tmp_path: Path) -> None:
    async with acme(tmp_path) as customer:
        campaign_id = await draft(customer)
        team = await add(customer)
        assert team.state == sending.TeamAddress.STATE_ASKED
        with pytest.raises(Invalid):
            await stub(customer).SendTest(asked_test(campaign_id, team.team_address_id))
        mail = await customer.mail_to(TEAM)
        path = link_in(mail, "/t/")
        for _ in range(2):  # as a mail scanner does
            assert "Tests at this address?" in (await customer.http.get(path)).text
        assert (await add(customer)).state == sending.TeamAddress.STATE_ASKED
        for _ in range(2):
            assert "Tests may come here" in (await customer.http.post(path, data={"confirm": "yes"})).text
        assert (await add(customer)).state == sending.TeamAddress.STATE_CONFIRMED
        assert (await customer.http.get("/t/made-up")).status_code == 404

        asked = asked_test(campaign_id, team.team_address_id)
        [sent] = (await stub(customer).SendTest(asked)).sent
        assert (await stub(customer).SendTest(asked)).sent[0].message_id == sent.message_id
        test = await customer.mail_to(TEAM, 2)
        assert test["Subject"] == "TEST: The news, Ann"
        page = await customer.http.post(unsubscribing(test), data={"List-Unsubscribe": "One-Click"})
        assert page.status_code == 404, "its link stops nobody"
        assert len(customer.mails_to(TEAM)) == 2
        campaign = await stub(customer).GetCampaign(sending.GetCampaignRequest(campaign_id=campaign_id))
        assert (campaign.status, campaign.totals.audience, campaign.totals.sent) == (sending.Campaign.STATUS_DRAFT, 0, 0)

        other = await another(customer, "Bolt")
        with pytest.raises(Invalid):
            await stub(other).SendTest(asked_test(await draft(other), team.team_address_id))
        await stub(customer).RemoveTeamAddress(sending.RemoveTeamAddressRequest(team_address_id=team.team_address_id))
        assert not (await stub(customer).ListTeamAddresses(sending.ListTeamAddressesRequest())).team_addresses


async def test_a_seed_gets_every_campaign_once_outside_its_totals(tmp_path: Path) -> None:
    async with acme(tmp_path) as customer:
        await confirmed(customer, seed=True)
        await customer.sign_up(JANE)
        mail = await customer.mail_to(JANE)
        await customer.http.post(link_in(mail, "/c/"), data={"confirm": "yes"})
        campaign = await customer.campaign()
        assert (campaign.totals.audience, campaign.totals.sent) == (1, 1)
        copy, original = await customer.mail_to(TEAM, 2), await customer.mail_to(JANE, 2)
        assert copy["Subject"] == original["Subject"] == "The news"
        assert (await customer.http.post(unsubscribing(copy), data={"List-Unsubscribe": "One-Click"})).status_code == 404
        assert (await customer.http.post(unsubscribing(original), data={"List-Unsubscribe": "One-Click"})).status_code == 200
        assert len(customer.mails_to(TEAM)) == 2


@promise("M6")
async def test_a_team_address_that_said_no_to_everything_is_not_mailed(tmp_path: Path) -> None:
    async with acme(tmp_path) as customer:
        team_id = await confirmed(customer)
        mail = await customer.mail_to(TEAM)
        assert (await customer.http.post(link_in(mail, "/u/"), data={"stop": "everything"})).status_code == 200
        with pytest.raises(Conflict) as refused:
            await stub(customer).SendTest(asked_test(await draft(customer), team_id))
        assert refused.value.type == "not-allowed"
        assert await customer.kinds(TEAM) == ["withdrawn"]
        assert len(customer.mails_to(TEAM)) == 1
