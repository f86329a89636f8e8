"""`bench send --memory`: the peak of a process that plans and delivers a campaign, at two sizes of it.

Sending is whole and real, planner, log, claims, worker and projection in one process on the embedded adapters. Subscribers and consent are
played within it: they make people up as they are asked for and keep nobody, so that what is measured is sending's own. `peak_mb_small` and
`peak_mb_large` are the process's highest resident memory at the end of the one campaign and, later, of the other.

Alone it can be run slowly beside other work: python -m bench.memory HOST PORT SMALL LARGE
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvloop

from bench.campaigns import TEMPLATE
from bench.running import Figures, resident_mb
from bench.sinks import Sink
from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.consent.v1.consent_pb2_grpc import add_ConsentServiceServicer_to_server
from postlaw.identity.v1 import context_pb2, identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceStub
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw.subscribers.v1.subscribers_pb2_grpc import add_SubscribersServiceServicer_to_server
from postlaw_common.caller import Actor
from postlaw_common.memory import bound_arenas
from postlaw_common.platform import Platform
from postlaw_common.service import Service
from postlaw_common.testing.mesh import Mesh, fake, mesh
from postlaw_sending.service import build
from postlaw_sending.settings import SendingSettings

TENANT = "ten_bench"
PARTITIONS = 16
LOOK_EVERY_S = 3.0
DAY_S = 24 * 3600


def address_key(number: int) -> bytes:
    return b"\x01" + number.to_bytes(32, "big")


class MadeUpPeople:
    """Lists are named by their size. Person n is in partition n mod 16."""

    async def GetList(self, request: subscribers.GetListRequest, context: Any) -> subscribers.List:
        return subscribers.List(list_id=request.list_id, name="Everybody")

    async def StreamAudience(self, request: subscribers.StreamAudienceRequest, context: Any) -> AsyncIterator[subscribers.AudiencePage]:
        after = request.after_address_key
        first = int.from_bytes(after[1:], "big") + PARTITIONS if after else request.partition
        numbers = range(first, int(request.list_id.removeprefix("lst_")), PARTITIONS)
        for start in range(0, len(numbers), request.page_size):
            page = numbers[start : start + request.page_size]
            people = subscribers.AudiencePeople(members=map(self._member, page))
            yield subscribers.AudiencePage(address_keys=map(address_key, page), people=people.SerializeToString())

    async def OpenPeople(self, request: subscribers.OpenPeopleRequest, context: Any) -> subscribers.AudiencePeople:
        numbers = (int.from_bytes(key[1:], "big") for key in request.address_keys)
        return subscribers.AudiencePeople(members=map(self._member, numbers))

    def _member(self, number: int) -> subscribers.AudienceMember:
        return subscribers.AudienceMember(
            address_key=address_key(number), subscriber_id=f"sub_{number:026d}", address=f"user{number}@example.com",
            fields={"name": f"User {number}", "city": "Paris"},
        )  # fmt: skip


class EverybodyAgreed:
    """Allows all, each with a token as long as consent's."""

    def __init__(self) -> None:
        self.generation = ""
        self.list_id = ""

    async def GetDecisions(self, request: consent.GetDecisionsRequest, context: Any) -> consent.GetDecisionsResponse:
        self.list_id = request.scope.list_id
        answer = consent.GetDecisionsResponse(generation=self.generation, law_version="bench", inputs_hash=b"inputs")
        answer.decided_at.GetCurrentTime()
        answer.expires_at.FromSeconds(int(time.time()) + DAY_S)
        answer.verdicts.append(consent.Verdict(allow=True, bases={"IE": "express_consent"}))
        for key in request.address_keys:
            answer.decisions.add(allow=True, verdict=0, opt_out_token=b"%0150d" % int.from_bytes(key[1:], "big"))
        return answer

    async def DescribeToken(self, request: consent.DescribeTokenRequest, context: Any) -> consent.TokenDescription:
        return consent.TokenDescription(tenant_id=TENANT, scope=consent.Scope(list_id=self.list_id))


class OneCustomer:
    """Whose contexts the mesh believes. `mesh`: set once it runs."""

    mesh: Mesh

    async def GetTenant(self, request: identity_pb2.GetTenantRequest, context: Any) -> identity_pb2.Tenant:
        stands = identity_pb2.SenderIdentity(territory="IE", contact="post@acme.example")
        return identity_pb2.Tenant(tenant_id=request.tenant_id, sender_identity=stands)

    async def IssueServiceContext(self, request: identity_pb2.IssueServiceContextRequest, context: Any) -> identity_pb2.IssuedContext:
        caller = self.mesh.caller(request.tenant_id, request.scopes, actor=Actor("service", "sending"))
        signed = context_pb2.SignedContext.FromString(caller.signed)
        return identity_pb2.IssuedContext(signed=signed, context=context_pb2.CallerContext.FromString(signed.context))

    async def ListSigningKeys(self, request: Any, context: Any) -> identity_pb2.ListSigningKeysResponse:
        return identity_pb2.ListSigningKeysResponse()


async def mailed(stub: Any, recipients: int) -> int:
    """How many it says were sent, of a campaign to so many."""
    template = sending.Template(subject=TEMPLATE["subject"], text=TEMPLATE["text"], html=TEMPLATE["html"])
    made = await stub.CreateCampaign(
        sending.CreateCampaignRequest(
            name="bench", list_id=f"lst_{recipients}", template=template,
            sender=sending.Sender(name="Acme News", address="news@acme.example", postal_address="Acme Ltd, 1 High Street, London"),
        )
    )  # fmt: skip
    wanted = sending.GetCampaignRequest(campaign_id=made.campaign_id)
    await stub.LaunchCampaign(wanted)
    while (campaign := await stub.GetCampaign(wanted)).status == sending.Campaign.STATUS_SENDING:
        await asyncio.sleep(LOOK_EVERY_S if recipients > 100_000 else 0.2)
    return campaign.totals.sent


async def run(home: Path, host: str, port: int, sizes: list[int]) -> None:
    """Prints a line of JSON for each size."""
    law, identity = EverybodyAgreed(), OneCustomer()
    platforms: list[Platform] = []
    settings = SendingSettings.model_validate({"relay_host": host, "relay_port": port, "relay_tls": "none", "unverified_domains": "allow"})

    def build_sending(platform: Platform) -> Service:
        platforms.append(platform)
        return build(platform, settings)

    builders = [
        fake("subscribers", add_SubscribersServiceServicer_to_server, MadeUpPeople()),
        fake("consent", add_ConsentServiceServicer_to_server, law),
        fake("identity", add_IdentityServiceServicer_to_server, identity),
        build_sending,
    ]
    async with mesh(home, builders, partitions=PARTITIONS) as m:
        identity.mesh, law.generation = m, platforms[0].generation()
        stub = SendingServiceStub(m.channel("sending", caller=m.caller(TENANT, ["campaigns:write", "campaigns:read", "campaigns:launch"])))
        for recipients in sizes:
            began = time.perf_counter()
            sent = await mailed(stub, recipients)
            seconds = round(time.perf_counter() - began, 1)
            peak = resident_mb(os.getpid(), peak=True)
            print(json.dumps({"recipients": recipients, "sent": sent, "seconds": seconds, "peak_mb": peak}), flush=True)


def measure(outside: Sink, small: int, large: int) -> Figures:
    command = [sys.executable, "-m", "bench.memory", outside.host, str(outside.port), str(small), str(large)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said: str | None = None
        while said is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                said, _ = process.communicate(timeout=LOOK_EVERY_S)
            outside.reset()  # it would remember each of millions of messages
    if process.returncode:
        raise RuntimeError("the process that was measured failed; what it said stands above")
    first, last = (json.loads(line) for line in said.splitlines() if line.startswith('{"recipients"'))
    return {
        "small": small,
        "large": large,
        "sent": first["sent"] + last["sent"],
        "peak_mb_small": first["peak_mb"],
        "peak_mb_large": last["peak_mb"],
        "per_second_large": round(large / last["seconds"]),
    }


def main(host: str, port: str, *sizes: str) -> None:
    bound_arenas()
    with tempfile.TemporaryDirectory(prefix="postlaw-bench-") as home:
        uvloop.run(run(Path(home), host, int(port), [int(size) for size in sizes]))


if __name__ == "__main__":
    main(*sys.argv[1:])
