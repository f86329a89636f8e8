"""Subscribers, consent and identity as the tests of campaigns play them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.identity.v1 import context_pb2, identity_pb2
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw_common.caller import Actor, current
from postlaw_common.errors import NotFound, Unavailable
from postlaw_common.testing.mesh import Mesh

PARTITIONS = 4
DECIDED_AT_S = 1_790_000_000


def address_key(number: int) -> bytes:
    return b"\x01" + (number * 7919 % 1_000_003).to_bytes(4, "big") + number.to_bytes(28, "big")


@dataclass
class FakeSubscribers:
    """People by list and partition. `brand`, `zone`: of every list. `away`: cannot be reached. `gone`: deleted meanwhile."""

    lists: dict[str, dict[int, list[bytes]]] = field(default_factory=dict[str, dict[int, list[bytes]]])
    names: dict[bytes, int] = field(default_factory=dict[bytes, int])
    gone: set[bytes] = field(default_factory=set[bytes])
    away: bool = False
    opened: int = 0
    brand: str = ""
    zone: str = ""
    zone_of: Callable[[int], str] | None = None
    domains: Sequence[str] = ("example.com",)  # of their addresses, by turns

    def add_list(self, list_id: str, numbers: Iterable[int]) -> None:
        people = self.lists[list_id] = {partition: [] for partition in range(PARTITIONS)}
        for number in numbers:
            self.names[address_key(number)] = number
            people[number % PARTITIONS].append(address_key(number))
        for keys in people.values():
            keys.sort()

    def member(self, key: bytes) -> subscribers.AudienceMember:
        number = self.names[key]
        self.opened += 1
        fields = {"name": f"P{number}"} | ({"time_zone": self.zone_of(number)} if self.zone_of else {})
        return subscribers.AudienceMember(address_key=key, subscriber_id=f"sub_{number}", address=self.address(number), fields=fields)

    def address(self, number: int) -> str:
        return f"p{number}@{self.domains[number % len(self.domains)]}"

    async def GetList(self, request: subscribers.GetListRequest, context: Any) -> subscribers.List:
        self.check()
        if request.list_id not in self.lists:
            raise NotFound("There is no such list.")
        return subscribers.List(list_id=request.list_id, name="Weekly", brand=self.brand, time_zone=self.zone)

    async def StreamAudience(self, request: subscribers.StreamAudienceRequest, context: Any) -> AsyncIterator[subscribers.AudiencePage]:
        self.check()
        keys = [key for key in self.lists[request.list_id][request.partition] if key > request.after_address_key and key not in self.gone]
        for start in range(0, len(keys), request.page_size):
            self.check()
            page = keys[start : start + request.page_size]
            people = subscribers.AudiencePeople(members=map(self.member, page))
            yield subscribers.AudiencePage(address_keys=page, people=people.SerializeToString())

    async def OpenPeople(self, request: subscribers.OpenPeopleRequest, context: Any) -> subscribers.AudiencePeople:
        self.check()
        return subscribers.AudiencePeople(members=[self.member(key) for key in request.address_keys if key not in self.gone])

    async def ResolvePerson(self, request: subscribers.ResolvePersonRequest, context: Any) -> subscribers.ResolvedPerson:
        """By "p7@example.com" or "sub_7"; whoever else has an address is known to nobody."""
        self.check()
        numbers = {f"p{number}@example.com": number for number in self.names.values()}
        if request.subscriber_id:
            number = int(request.subscriber_id.removeprefix("sub_"))
            if address_key(number) not in self.names:
                raise NotFound("There is no such subscriber.")
            return subscribers.ResolvedPerson(address_key=address_key(number), subscriber_id=request.subscriber_id)
        number = numbers.get(request.address)
        key = address_key(number) if number is not None else hashlib.sha256(request.address.encode()).digest()
        id = "" if number is None or key in self.gone else f"sub_{number}"
        return subscribers.ResolvedPerson(address_key=key, subscriber_id=id, address=request.address)

    def check(self) -> None:
        if self.away:
            raise Unavailable("The test has taken subscribers away.")


CONSENTED = consent.Verdict(allow=True, bases={"UK": "express_consent"})


def refusal(*codes: str) -> consent.Verdict:
    return consent.Verdict(reasons=[consent.Reason(code=code, section="s. 6") for code in codes])


@dataclass
class FakeConsent:
    """Everybody has consented but for those in `verdicts`, by address key. `asked`: each question that came."""

    verdicts: dict[bytes, consent.Verdict] = field(default_factory=dict[bytes, consent.Verdict])
    asked: list[consent.GetDecisionsRequest] = field(default_factory=list[consent.GetDecisionsRequest])
    away: bool = False
    generation: Callable[[], str] = lambda: ""
    tenant_id: str = ""  # of who asked last
    leads_to: tuple[str, str] | None = None  # every link, if not to that customer's list
    dead_links: bool = False
    valid_s: int = 3600

    async def GetDecisions(self, request: consent.GetDecisionsRequest, context: Any) -> consent.GetDecisionsResponse:
        if self.away:
            raise Unavailable("The test has taken consent away.")
        assert len(request.address_keys) <= 1000
        self.asked.append(request)
        self.tenant_id = current().tenant_id
        answer = consent.GetDecisionsResponse(
            consent_offset=17,
            law_version="law-1",
            generation=self.generation(),
            decided_at=Timestamp(seconds=DECIDED_AT_S, nanos=1000),
            expires_at=Timestamp(seconds=int(time.time()) + self.valid_s, nanos=123_456_000),
            inputs_hash=b"inputs",
        )
        places: dict[bytes, int] = {}  # each verdict once, as consent has them
        for key in request.address_keys:
            verdict = self.verdicts.get(key, CONSENTED)
            said = verdict.SerializeToString(deterministic=True)
            if said not in places:
                places[said] = len(answer.verdicts)
                answer.verdicts.append(verdict)
            token = b"tok" + key.hex().encode() if verdict.allow else b""
            answer.decisions.add(allow=verdict.allow, verdict=places[said], opt_out_token=token)
        return answer

    async def DescribeToken(self, request: consent.DescribeTokenRequest, context: Any) -> consent.TokenDescription:
        if self.away:
            raise Unavailable("The test has taken consent away.")
        if self.dead_links:
            raise NotFound("This link is none of ours.")
        tenant_id, list_id = self.leads_to or (self.tenant_id, self.asked[-1].scope.list_id)
        return consent.TokenDescription(tenant_id=tenant_id, scope=consent.Scope(list_id=list_id))


@dataclass
class FakeIdentity:
    """Issues contexts that the mesh believes, and knows the one customer. `read`: how often it was asked about them."""

    mesh: Mesh | None = None
    contact: str = "post@shop.example"
    away: bool = False
    read: int = 0

    async def GetTenant(self, request: identity_pb2.GetTenantRequest, context: Any) -> identity_pb2.Tenant:
        if self.away:
            raise Unavailable("The test has taken identity away.")
        self.read += 1
        return identity_pb2.Tenant(tenant_id=request.tenant_id, sender_identity=identity_pb2.SenderIdentity(contact=self.contact))

    async def IssueServiceContext(self, request: identity_pb2.IssueServiceContextRequest, context: Any) -> identity_pb2.IssuedContext:
        assert self.mesh is not None
        caller = self.mesh.caller(request.tenant_id, request.scopes, actor=Actor("service", "sending"))
        signed = context_pb2.SignedContext.FromString(caller.signed)
        return identity_pb2.IssuedContext(signed=signed, context=context_pb2.CallerContext.FromString(signed.context))

    async def ListSigningKeys(self, request: identity_pb2.ListSigningKeysRequest, context: Any) -> identity_pb2.ListSigningKeysResponse:
        return identity_pb2.ListSigningKeysResponse()
