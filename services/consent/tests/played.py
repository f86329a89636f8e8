"""The services that consent calls, played by servicers whose answers each test chooses."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import grpc

from postlaw.audit.v1 import audit_pb2
from postlaw.audit.v1.audit_pb2_grpc import AuditServiceServicer
from postlaw.consent.v1 import consent_pb2 as pb
from postlaw.identity.v1 import identity_pb2
from postlaw.identity.v1.identity_pb2_grpc import IdentityServiceServicer
from postlaw.sending.v1 import sending_pb2
from postlaw.sending.v1.sending_pb2_grpc import SendingServiceServicer
from postlaw.subscribers.v1 import subscribers_pb2
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceServicer

# The generated servicers are abstract to the type checker; a fake answers one method and refuses the others.
_AnySending: Any = SendingServiceServicer
_AnySubscribers: Any = SubscribersServiceServicer
_AnyIdentity: Any = IdentityServiceServicer
_AnyAudit: Any = AuditServiceServicer


class FakeSending(_AnySending):
    """Answers AwaitStopped as `mode` says: stopped, recorded, hang, fail, or unknown: with an outcome of a later version.

    Takes single messages, unless it is `away`."""

    def __init__(self) -> None:
        self.mode = "stopped"
        self.asked: list[sending_pb2.AwaitStoppedRequest] = []
        self.mails: list[sending_pb2.SendMessageRequest] = []
        self.campaigns: dict[str, sending_pb2.Sender] = {}
        self.away = False

    async def AwaitStopped(self, request: sending_pb2.AwaitStoppedRequest, context: Any) -> sending_pb2.AwaitStoppedResponse:
        self.asked.append(request)
        if self.mode == "hang":
            await asyncio.Event().wait()
        if self.mode == "fail":
            await context.abort(grpc.StatusCode.INTERNAL, "broken by the test")
        outcomes = {"stopped": pb.OUTCOME_STOPPED, "recorded": pb.OUTCOME_RECORDED, "unknown": pb.OUTCOME_UNSPECIFIED}
        return sending_pb2.AwaitStoppedResponse(outcome=outcomes[self.mode], epoch=7)

    async def GetCampaign(self, request: sending_pb2.GetCampaignRequest, context: Any) -> sending_pb2.Campaign:
        if request.campaign_id not in self.campaigns:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        return sending_pb2.Campaign(sender=self.campaigns[request.campaign_id])

    async def SendMessage(self, request: sending_pb2.SendMessageRequest, context: Any) -> sending_pb2.SendMessageResponse:
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "taken away by the test")
        if request.idempotency_key not in {mail.idempotency_key for mail in self.mails}:
            self.mails.append(request)
        return sending_pb2.SendMessageResponse(message_id="sgl_1")


class FakeSubscribers(_AnySubscribers):
    """Knows people by subscriber id; addresses it cannot resolve, as if it were down, unless `resolves`."""

    def __init__(self, people: dict[str, bytes]) -> None:
        self.people = people
        self.resolves = False
        self.joined: list[tuple[str, str]] = []
        self.languages: dict[bytes, str] = {}
        self.opening: list[str] = []
        self.profiles: dict[bytes, subscribers_pb2.Profile] = {}
        self.corrected: list[subscribers_pb2.CorrectProfileRequest] = []
        self.loses_answers = False

    async def GetList(self, request: subscribers_pb2.GetListRequest, context: Any) -> subscribers_pb2.List:
        return subscribers_pb2.List(list_id=request.list_id, name="Weekly", brand="Acme")

    async def JoinList(self, request: subscribers_pb2.JoinListRequest, context: Any) -> subscribers_pb2.Subscriber:
        self.joined.append((request.address, request.list_id))
        key = b"\x01" + hashlib.sha256(request.address.encode()).digest()
        return subscribers_pb2.Subscriber(address=request.address, list_ids=[request.list_id], language=self.languages.get(key, ""))

    async def ResolvePerson(self, request: subscribers_pb2.ResolvePersonRequest, context: Any) -> subscribers_pb2.ResolvedPerson:
        if request.address and self.resolves:
            self.opening += [request.address] if request.opening else []
            sealed = b"sealed:" + request.profile_evidence if request.profile_evidence else b""
            key = b"\x01" + hashlib.sha256(request.address.encode()).digest()
            return subscribers_pb2.ResolvedPerson(address_key=key, address=request.address, sealed_profile_evidence=sealed)
        if request.address:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "taken away by the test")
        if request.subscriber_id not in self.people:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        return subscribers_pb2.ResolvedPerson(address_key=self.people[request.subscriber_id])

    async def SetLanguage(self, request: subscribers_pb2.SetLanguageRequest, context: Any) -> subscribers_pb2.SetLanguageResponse:
        if request.address_key not in self.profiles:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        before, self.languages[request.address_key] = self.languages.get(request.address_key), request.language
        return subscribers_pb2.SetLanguageResponse(already=before == request.language)

    async def GetProfile(self, request: subscribers_pb2.GetProfileRequest, context: Any) -> subscribers_pb2.Profile:
        if request.address_key not in self.profiles:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        return self.profiles[request.address_key]

    async def CorrectProfile(self, request: subscribers_pb2.CorrectProfileRequest, context: Any) -> subscribers_pb2.Profile:
        """Refuses an address that begins with "taken"; `loses_answers`: what is asked happens, and the answer is lost."""
        known = [profile for profile in self.profiles.values() if profile.subscriber_id == request.subscriber_id]
        if not known:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        [profile] = known
        if request.if_version not in (0, profile.version):
            await context.abort(grpc.StatusCode.ABORTED, "changed")
        if request.address.startswith("taken"):
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "taken")
        if any(len(field.value) > 100 for field in request.fields):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "too long")
        self.corrected.append(request)
        for field in request.fields:
            [shown] = [one for one in profile.fields if one.name == field.name]
            shown.value = field.value
        profile.version += 1
        if request.address:
            del self.profiles[profile.address_key]
            profile.address = request.address
            profile.address_key = b"\x01" + hashlib.sha256(request.address.encode()).digest()
            self.profiles[profile.address_key] = profile
        if self.loses_answers:
            await context.abort(grpc.StatusCode.INTERNAL, "the answer was lost")
        return profile

    async def GetAddresses(self, request: subscribers_pb2.GetAddressesRequest, context: Any) -> subscribers_pb2.GetAddressesResponse:
        known = {address_key: f"{subscriber_id}@example.com" for subscriber_id, address_key in self.people.items()}
        return subscribers_pb2.GetAddressesResponse(addresses=[known.get(address_key, "") for address_key in request.address_keys])


class FakeIdentity(_AnyIdentity):
    """Knows every customer, and that it stands where `stands` says."""

    def __init__(self) -> None:
        self.stands = identity_pb2.SenderIdentity(territory="IE", time_zone="Europe/Dublin")
        self.down = False
        self.asked = 0

    async def IssueServiceContext(self, request: identity_pb2.IssueServiceContextRequest, context: Any) -> identity_pb2.IssuedContext:
        issued = identity_pb2.IssuedContext()
        issued.context.actor.id = "consent"
        issued.context.scopes.extend(request.scopes)
        issued.context.expires_at.FromSeconds(4_000_000_000)
        return issued

    async def GetTenant(self, request: identity_pb2.GetTenantRequest, context: Any) -> identity_pb2.Tenant:
        self.asked += 1
        if self.down:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "taken away by the test")
        return identity_pb2.Tenant(tenant_id=request.tenant_id, name="Acme", sender_identity=self.stands)


class FakeAudit(_AnyAudit):
    """A log that has the entries it was given, by event id."""

    def __init__(self) -> None:
        self.entries: dict[str, audit_pb2.Entry] = {}
        self.witnesses: list[str] = []
        self.key_notes: list[str] = []

    async def GetEventProof(self, request: audit_pb2.GetEventProofRequest, context: Any) -> audit_pb2.EventProof:
        if request.event_id not in self.entries:
            await context.abort(grpc.StatusCode.NOT_FOUND, "not yet")
        entry = self.entries[request.event_id].SerializeToString()
        checkpoint = audit_pb2.Checkpoint(size=4, note="a note", witnesses=self.witnesses)
        return audit_pb2.EventProof(index=2, entry=entry, hashes=[b"step"], checkpoint=checkpoint, key_notes=self.key_notes)
