"""The whole mesh: whoever runs the installation stops an address for all its customers, and takes that back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw_common.rpc.channel import MeshChannel
from postlaw_common.testing.promises import promise
from postlaw_mesh.command import main
from postlaw_subscribers import commands
from postlaw_subscribers.commands import carried_out, told

from .signing_up import WORDING, Acme, acme, another
from .test_suppression_lists import HELD, imported

ANN = "ann@example.com"


async def everywhere(customer: Acme, *, lift: bool = False) -> dict[str, str | int]:
    def channel(service: str, token: Callable[[], bytes]) -> MeshChannel:
        return customer.mesh.running.channel(service, as_service="operator", token=token)

    request = subscribers.SuppressEverywhereRequest(address=ANN, reason="court order", lift=lift)
    return told(await carried_out(channel, request), lift=lift)


@promise("M6")
async def test_who_is_stopped_everywhere_gets_no_mail_of_any_customer_until_that_is_lifted(tmp_path: Path) -> None:
    async with acme(tmp_path) as first:
        second = await another(first, "Other")
        attested = subscribers.ImportConsent(source="shop", wording=WORDING, attested_by="Ada Example", held=HELD, territories=["IE"])
        rows = b"email\nann@example.com\nbob@example.com\n"
        await imported(first, rows, list_id=first.list_id, consent=attested)
        told_of_it = await everywhere(first)
        assert told_of_it == {"outcome": "stopped", "customers": 1, "stopped": 1, "recorded": 0, "lifted": 0, "failed": 0}
        await imported(second, rows, list_id=second.list_id, consent=attested)
        for customer in (first, second):
            await customer.sign_up(ANN)
            await customer.settled()
            campaign = await customer.campaign()
            assert campaign.totals.refused == 1
        assert len(first.mails_to("bob@example.com")) == 2
        assert not first.mails_to(ANN)

        assert (await everywhere(first, lift=True))["lifted"] == 2
        await second.campaign()
        assert len(first.mails_to(ANN)) == 1


def test_the_command_reads_the_address_from_its_input_and_says_where_it_was_not_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[subscribers.SuppressEverywhereRequest] = []

    async def ask(_: object, request: subscribers.SuppressEverywhereRequest) -> subscribers.SuppressedEverywhere:
        asked.append(request)
        return subscribers.SuppressedEverywhere(customers=3, stopped=2, failed=len(asked) - 1, done=True)

    monkeypatch.setattr(commands, "ask", ask)
    said = CliRunner().invoke(main, ["suppress-everywhere", "--reason", "court order", "--json"], input=f" {ANN}\n")
    assert (said.exit_code, json.loads(said.output)["outcome"]) == (0, "stopped")
    assert asked == [subscribers.SuppressEverywhereRequest(address=ANN, reason="court order")]
    said = CliRunner().invoke(main, ["suppress-everywhere", "--reason", "court order"], input=ANN)
    assert (said.exit_code, "outcome recorded" in said.output) == (3, True)
    assert CliRunner().invoke(main, ["suppress-everywhere", "--reason", "court order", ANN]).exit_code == 2, (
        "no address in a shell's history"
    )
