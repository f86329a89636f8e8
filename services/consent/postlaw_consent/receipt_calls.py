"""gRPC to use case, for receipts: a part of the servicer."""

from __future__ import annotations

from typing import Any

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import current
from postlaw_common.errors import FieldError, Invalid
from postlaw_consent.clients import Subscribers
from postlaw_consent.receipt_keys import ReceiptKeys
from postlaw_consent.use_cases.get_receipt import GetReceipt


class ReceiptCalls:
    def __init__(self, get: GetReceipt, keys: ReceiptKeys, subscribers: Subscribers) -> None:
        self._get = get
        self._keys = keys
        self._subscribers = subscribers

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: Any) -> pb.Receipt:
        if not (request.address_key or request.subscriber_id):
            raise Invalid("Say who is meant.", fields=[FieldError("who", "name an address_key or a subscriber_id")])
        address_key = request.address_key or await self._subscribers.by_subscriber(request.subscriber_id)
        return pb.Receipt(document=await self._get(current().tenant_id, address_key, request.event_id))

    async def ListReceiptKeys(self, request: pb.ListReceiptKeysRequest, context: Any) -> pb.ListReceiptKeysResponse:
        return pb.ListReceiptKeysResponse(keys=[pb.ReceiptKey(**key) for key in self._keys.published()])
