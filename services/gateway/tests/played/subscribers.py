"""Subscribers, as the gateway calls it: lists, people and imports in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from postlaw.subscribers.v1 import subscribers_pb2
from postlaw_common.errors import NotFound, Unavailable, VersionMismatch
from postlaw_common.ids import new_id


class FakeSubscribers:
    def __init__(self) -> None:
        self.lists: dict[str, subscribers_pb2.List] = {}
        self.people: dict[str, subscribers_pb2.Subscriber] = {}
        self.settings: list[subscribers_pb2.ImportSettings] = []
        self.uploads: list[bytes] = []
        self.largest_chunk = 0
        self.deeds: list[str] = []
        self.loses_answers = False
        self.refuses: Exception | None = None
        self.masked = "j•••@e•••.com"
        self.language = ""
        self.masked_asked: list[subscribers_pb2.GetMaskedAddressRequest] = []

    async def GetMaskedAddress(self, request: Any, context: Any) -> subscribers_pb2.MaskedAddress:
        self.masked_asked.append(request)
        if self.refuses is not None:
            raise self.refuses
        return subscribers_pb2.MaskedAddress(masked=self.masked, language=self.language)

    async def CreateList(self, request: Any, context: Any) -> subscribers_pb2.List:
        self.deeds.append(request.idempotency_key)
        if self.loses_answers:
            raise Unavailable("The list is made, and this is not what the caller should hear.")
        if self.refuses is not None:
            raise self.refuses
        made = subscribers_pb2.List(list_id=new_id("lst"), name=request.name, version=1)
        self.lists[made.list_id] = made
        return made

    async def GetList(self, request: Any, context: Any) -> subscribers_pb2.List:
        if request.list_id not in self.lists:
            raise NotFound("There is no such list.")
        return self.lists[request.list_id]

    async def ListLists(self, request: Any, context: Any) -> subscribers_pb2.ListListsResponse:
        return subscribers_pb2.ListListsResponse(lists=self.lists.values(), next_page_token=f"{request.page_size}/{request.page_token}")

    async def CreateImport(self, requests: Any, context: Any) -> subscribers_pb2.Import:
        taken = bytearray()
        settings = None
        async for request in requests:
            if request.WhichOneof("part") == "settings":
                settings = request.settings
            else:
                self.largest_chunk = max(self.largest_chunk, len(request.chunk))
                taken += request.chunk
        assert settings is not None
        if settings.list_id == "lst_gone":
            raise NotFound("There is no such list.")
        self.settings.append(settings)
        self.uploads.append(bytes(taken))
        return subscribers_pb2.Import(
            import_id=new_id("imp"), list_id=settings.list_id, state=subscribers_pb2.Import.STATE_QUEUED, version=1
        )

    async def GetImportErrors(self, request: Any, context: Any) -> AsyncIterator[subscribers_pb2.CsvChunk]:
        if request.import_id == "imp_gone":
            raise NotFound("There is no such import.")
        yield subscribers_pb2.CsvChunk(data=b"row,reason\r\n")
        yield subscribers_pb2.CsvChunk(data=b"2,not an address\r\n")
        if request.import_id == "imp_breaks":
            raise Unavailable("The blobs are away.")

    async def PutSubscriber(self, request: Any, context: Any) -> subscribers_pb2.Subscriber:
        known = self.people.get(request.subscriber_id)
        if request.subscriber_id and known is None:
            raise NotFound("There is no such person.")
        if known is not None and request.if_version not in (0, known.version):
            raise VersionMismatch("This person has changed.")
        id = request.subscriber_id or new_id("sub")
        version = known.version + 1 if known else 1
        self.people[id] = subscribers_pb2.Subscriber(subscriber_id=id, address=request.address, fields=request.fields, version=version)
        return self.people[id]

    async def GetSubscriber(self, request: Any, context: Any) -> subscribers_pb2.Subscriber:
        if request.subscriber_id not in self.people:
            raise NotFound("There is no such person.")
        return self.people[request.subscriber_id]

    async def DeleteSubscriber(self, request: Any, context: Any) -> Any:
        from google.protobuf.empty_pb2 import Empty

        known = self.people.get(request.subscriber_id)
        if known is not None and request.if_version not in (0, known.version):
            raise VersionMismatch("This person has changed.")
        self.people.pop(request.subscriber_id, None)
        return Empty()
