"""gRPC → use cases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from google.protobuf.empty_pb2 import Empty

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.caller import current
from postlaw_common.errors import Invalid
from postlaw_subscribers import wire
from postlaw_subscribers.rooms import Rooms
from postlaw_subscribers.use_cases import audience, imports, lists, own_profile, resolve_person
from postlaw_subscribers.use_cases.put_subscriber import join_list, put_subscriber
from postlaw_subscribers.use_cases.remove_person import delete_subscriber
from postlaw_subscribers.use_cases.suppress_everywhere import suppress_everywhere


class SubscribersServicer:
    def __init__(self, rooms: Rooms, wake: asyncio.Event, *, upload_max_bytes: int) -> None:
        self._rooms = rooms
        self._wake = wake
        self._upload_max_bytes = upload_max_bytes

    async def CreateList(self, request: pb.CreateListRequest, context: Any) -> pb.List:
        created = await lists.create_list(
            self._rooms, current().tenant_id, request.name, request.description, request.brand, request.time_zone, request.idempotency_key
        )
        return wire.list_message(created)

    async def GetList(self, request: pb.GetListRequest, context: Any) -> pb.List:
        return wire.list_message(await lists.get_list(self._rooms, current().tenant_id, request.list_id))

    async def ListLists(self, request: pb.ListListsRequest, context: Any) -> pb.ListListsResponse:
        page, following = await lists.list_lists(self._rooms, current().tenant_id, request.page_size, request.page_token)
        return pb.ListListsResponse(lists=map(wire.list_message, page), next_page_token=following)

    async def SetProfileFields(self, request: pb.SetProfileFieldsRequest, context: Any) -> pb.List:
        changed = await lists.set_profile_fields(self._rooms, current().tenant_id, request.list_id, request.profile_fields)
        return wire.list_message(changed)

    async def SetListTimeZone(self, request: pb.SetListTimeZoneRequest, context: Any) -> pb.List:
        return wire.list_message(await lists.set_time_zone(self._rooms, current().tenant_id, request.list_id, request.time_zone))

    async def CreateImport(self, requests: AsyncIterator[pb.CreateImportRequest], context: Any) -> pb.Import:
        caller = current()
        first = await anext(aiter(requests), None)
        if first is None or first.WhichOneof("part") != "settings":
            raise Invalid("The first message of an upload must hold the import's settings.")
        job = await imports.create_import(
            self._rooms,
            caller.tenant_id,
            wire.settings_of(first.settings),
            str(caller.actor),
            _chunks(requests),
            idempotency_key=first.settings.idempotency_key,
            max_bytes=self._upload_max_bytes,
            wake=self._wake,
        )
        return wire.import_message(job)

    async def GetImport(self, request: pb.GetImportRequest, context: Any) -> pb.Import:
        return wire.import_message(await imports.get_import(self._rooms, current().tenant_id, request.import_id))

    async def CancelImport(self, request: pb.GetImportRequest, context: Any) -> pb.Import:
        return wire.import_message(await imports.cancel_import(self._rooms, current().tenant_id, request.import_id))

    async def ResumeImport(self, request: pb.GetImportRequest, context: Any) -> pb.Import:
        return wire.import_message(await imports.resume_import(self._rooms, current().tenant_id, request.import_id, self._wake))

    async def GetImportErrors(self, request: pb.GetImportRequest, context: Any) -> AsyncIterator[pb.CsvChunk]:
        async for data in imports.import_errors(self._rooms, current().tenant_id, request.import_id):
            yield pb.CsvChunk(data=data)

    async def PutSubscriber(self, request: pb.PutSubscriberRequest, context: Any) -> pb.Subscriber:
        person = await put_subscriber(
            self._rooms,
            current().tenant_id,
            request.subscriber_id,
            request.address,
            dict(request.fields),
            list(request.list_ids),
            request.if_version,
        )
        return wire.subscriber_message(person)

    async def GetSubscriber(self, request: pb.GetSubscriberRequest, context: Any) -> pb.Subscriber:
        return wire.subscriber_message(await resolve_person.get_subscriber(self._rooms, current().tenant_id, request.subscriber_id))

    async def DeleteSubscriber(self, request: pb.DeleteSubscriberRequest, context: Any) -> Empty:
        await delete_subscriber(self._rooms, current().tenant_id, request.subscriber_id, request.if_version)
        return Empty()

    async def StreamAudience(self, request: pb.StreamAudienceRequest, context: Any) -> AsyncIterator[pb.AudiencePage]:
        pages = audience.stream_audience(
            self._rooms, current().tenant_id, request.list_id, request.partition, request.after_address_key, request.page_size
        )
        async with aclosing(pages):  # a campaign that stops amid a list leaves no cursor open in the store
            async for address_keys, people in pages:
                yield pb.AudiencePage(address_keys=address_keys, people=people)

    async def OpenPeople(self, request: pb.OpenPeopleRequest, context: Any) -> pb.AudiencePeople:
        return pb.AudiencePeople.FromString(await audience.open_people(self._rooms, current().tenant_id, request.address_keys))

    async def ResolvePerson(self, request: pb.ResolvePersonRequest, context: Any) -> pb.ResolvedPerson:
        if request.WhichOneof("who") is None:
            raise Invalid("Say who is meant: by address, by subscriber_id or by the beginning of an address key.")
        resolved = await resolve_person.resolve_person(
            self._rooms,
            current().tenant_id,
            address=request.address,
            subscriber_id=request.subscriber_id,
            address_key_beginning=request.address_key_beginning,
            profile_evidence=request.profile_evidence,
            proof_evidence=request.proof_evidence,
            opening=request.opening,
        )
        return pb.ResolvedPerson(
            address_key=resolved.address_key,
            subscriber_id=resolved.subscriber_id,
            sealed_profile_evidence=resolved.sealed_profile_evidence,
            sealed_proof_evidence=resolved.sealed_proof_evidence,
            address=resolved.address,
        )

    async def SuppressEverywhere(self, request: pb.SuppressEverywhereRequest, context: Any) -> AsyncIterator[pb.SuppressedEverywhere]:
        steps = suppress_everywhere(self._rooms, request.address, request.reason, current().actor, lift=request.lift)
        async with aclosing(steps):
            async for now in steps:
                yield pb.SuppressedEverywhere(**asdict(now))

    async def JoinList(self, request: pb.JoinListRequest, context: Any) -> pb.Subscriber:
        return wire.subscriber_message(await join_list(self._rooms, current().tenant_id, request.address, request.list_id))

    async def GetProfile(self, request: pb.GetProfileRequest, context: Any) -> pb.Profile:
        found = await own_profile.own_profile(
            self._rooms, current().tenant_id, address_key=request.address_key, subscriber_id=request.subscriber_id
        )
        return wire.profile_message(found)

    async def CorrectProfile(self, request: pb.CorrectProfileRequest, context: Any) -> pb.Profile:
        fields = {field.name: field.value.strip() for field in request.fields}
        corrected = await own_profile.correct_profile(
            self._rooms, current().tenant_id, request.subscriber_id, fields, request.address, request.if_version
        )
        return wire.profile_message(corrected)

    async def SetLanguage(self, request: pb.SetLanguageRequest, context: Any) -> pb.SetLanguageResponse:
        already = await own_profile.set_language(self._rooms, current().tenant_id, request.address_key, request.language)
        return pb.SetLanguageResponse(already=already)

    async def GetAddresses(self, request: pb.GetAddressesRequest, context: Any) -> pb.GetAddressesResponse:
        people = pb.AudiencePeople.FromString(await audience.open_people(self._rooms, current().tenant_id, request.address_keys))
        addresses = {member.address_key: member.address for member in people.members}
        return pb.GetAddressesResponse(addresses=[addresses.get(address_key, "") for address_key in request.address_keys])

    async def GetMaskedAddress(self, request: pb.GetMaskedAddressRequest, context: Any) -> pb.MaskedAddress:
        masked, language = await resolve_person.masked_address(self._rooms, request.tenant_id, request.address_key)
        return pb.MaskedAddress(masked=masked, language=language)


async def _chunks(requests: AsyncIterator[pb.CreateImportRequest]) -> AsyncIterator[bytes]:
    async for request in requests:
        if request.WhichOneof("part") != "chunk":
            raise Invalid("After the settings an upload holds chunks of the file only.")
        yield request.chunk
