"""gRPC → search, and whom a caller means: a person's address is looked for by its key, and kept nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc.aio

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.subscribers.v1 import subscribers_pb2 as subscribers
from postlaw.subscribers.v1.subscribers_pb2_grpc import SubscribersServiceStub
from postlaw_audit.reader import LogReader
from postlaw_audit.search.indexing import Indexer
from postlaw_audit.search.searching import Search
from postlaw_audit.search.wire import page_size, page_to_wire, question_of
from postlaw_common.caller import current
from postlaw_common.errors import Denied, NotFound
from postlaw_common.foreground import answering


class People:
    """Whom an address or an id means, as subscribers knows it. `channel` gives the channel to a service."""

    def __init__(self, channel: Callable[[str], grpc.aio.Channel]) -> None:
        self._channel = channel

    async def named(self, address: str, subscriber_id: str) -> tuple[list[bytes], list[str]]:
        """(address keys, subscriber ids). Who is gone is still found by their address, or by the id alone."""
        stub: Any = SubscribersServiceStub(self._channel("subscribers"))
        asked = (
            subscribers.ResolvePersonRequest(address=address) if address else subscribers.ResolvePersonRequest(subscriber_id=subscriber_id)
        )
        try:
            found = await stub.ResolvePerson(asked)
        except NotFound:
            return [], [subscriber_id]
        ids = found.subscriber_id or subscriber_id
        return [found.address_key], [ids] if ids else []


def customer() -> str:
    """Whose entries the caller may see. Raises Denied for whoever acts for no customer."""
    if not current().tenant_id:
        raise Denied("Search within one customer: this caller acts for none.", type="no-tenant")
    return current().tenant_id


class SearchCalls:
    """Of the caller's own customer alone."""

    def __init__(self, search: Search, indexer: Indexer, reader: LogReader, people: People) -> None:
        self._search = search
        self._indexer = indexer
        self._reader = reader
        self._people = people

    async def list_entries(self, request: audit.ListEntriesRequest) -> audit.ListEntriesResponse:
        tenant_id = customer()
        with answering():
            named = request.WhichOneof("who")
            keys, ids = await self._people.named(request.address, request.subscriber_id) if named else ([], [])
            question = question_of(request, tenant_id, keys, ids)
            return page_to_wire(await self._search(question, page_size(request)), question)

    async def rebuild(self) -> audit.RebuildIndexResponse:
        await self._indexer.store.drop()
        return audit.RebuildIndexResponse()

    async def status(self) -> audit.IndexStatus:
        checkpoint, _ = await self._reader.checkpoint()
        return audit.IndexStatus(indexed=self._indexer.indexed, size=checkpoint.size, generation=self._indexer.generation)
