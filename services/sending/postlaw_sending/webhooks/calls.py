"""gRPC → use case, of webhooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.caller import current
from postlaw_common.errors import FieldError, Invalid
from postlaw_sending.campaigns.wire import timestamp
from postlaw_sending.webhooks.deliveries import Deliveries
from postlaw_sending.webhooks.destination import checked_url
from postlaw_sending.webhooks.domain import Webhook
from postlaw_sending.webhooks.endpoints import Webhooks
from postlaw_sending.webhooks.messages import TYPES
from postlaw_sending.webhooks.signing import shown


class WebhookCalls:
    """`private`: see checked_url."""

    def __init__(self, webhooks: Webhooks, deliveries: Deliveries, *, private: bool) -> None:
        self._webhooks = webhooks
        self._deliveries = deliveries
        self._private = private

    async def create(self, request: sending.CreateWebhookRequest) -> sending.CreatedWebhook:
        tenant_id = current().tenant_id
        url = checked_url(request.url, private=self._private)
        made, secret = await self._webhooks.create(tenant_id, url, _types(request.event_types))
        self._deliveries.forget(tenant_id)
        return sending.CreatedWebhook(webhook=_said(made, 0), secret=shown(secret))

    async def get(self, request: sending.WebhookRequest) -> sending.Webhook:
        return await self._with_waiting(await self._webhooks.get(request.webhook_id, current().tenant_id))

    async def list(self) -> sending.ListWebhooksResponse:
        found = await self._webhooks.of_tenant(current().tenant_id)
        return sending.ListWebhooksResponse(webhooks=[await self._with_waiting(one) for one in found])

    async def delete(self, request: sending.WebhookRequest) -> sending.Webhook:
        webhook = await self._webhooks.delete(request.webhook_id, current().tenant_id)
        await self._deliveries.drop(webhook.id)
        self._deliveries.forget(webhook.tenant_id)
        return _said(webhook, 0)

    async def rotate(self, request: sending.WebhookRequest) -> sending.CreatedWebhook:
        webhook, secret = await self._webhooks.rotate(request.webhook_id, current().tenant_id)
        return sending.CreatedWebhook(webhook=await self._with_waiting(webhook), secret=shown(secret))

    async def told_of(self, request: sending.SetWebhookEventTypesRequest) -> sending.Webhook:
        webhook = await self._webhooks.told_of(request.webhook_id, current().tenant_id, _types(request.event_types))
        self._deliveries.forget(webhook.tenant_id)
        return await self._with_waiting(webhook)

    async def redeliver(self, request: sending.WebhookRequest) -> sending.Webhook:
        webhook = await self._webhooks.enable(request.webhook_id, current().tenant_id)
        await self._deliveries.again(webhook)
        return await self._with_waiting(webhook)

    async def _with_waiting(self, webhook: Webhook) -> sending.Webhook:
        return _said(webhook, await self._deliveries.waiting(webhook.id))


def _types(asked: Iterable[str]) -> list[str]:
    """Each once. Raises Invalid."""
    wanted = list(dict.fromkeys(asked))
    if not set(wanted) <= set(TYPES):
        raise Invalid("Nobody is told of that.", fields=[FieldError("event_types", f"give some of {', '.join(TYPES)}, or none for all")])
    return wanted


def _said(webhook: Webhook, waiting: int) -> sending.Webhook:
    return sending.Webhook(
        webhook_id=webhook.id,
        url=webhook.url,
        created_at=timestamp(webhook.created_at_us),
        disabled_because=webhook.disabled_because,
        waiting=waiting,
        event_types=webhook.event_types,
    )


class WebhookServicer:
    """The contract's methods of webhooks, for the servicer to be made of."""

    def __init__(self, calls: WebhookCalls) -> None:
        self._webhook_calls = calls

    async def CreateWebhook(self, request: sending.CreateWebhookRequest, context: Any) -> sending.CreatedWebhook:
        return await self._webhook_calls.create(request)

    async def GetWebhook(self, request: sending.WebhookRequest, context: Any) -> sending.Webhook:
        return await self._webhook_calls.get(request)

    async def ListWebhooks(self, request: sending.ListWebhooksRequest, context: Any) -> sending.ListWebhooksResponse:
        return await self._webhook_calls.list()

    async def DeleteWebhook(self, request: sending.WebhookRequest, context: Any) -> sending.Webhook:
        return await self._webhook_calls.delete(request)

    async def RotateWebhookSecret(self, request: sending.WebhookRequest, context: Any) -> sending.CreatedWebhook:
        return await self._webhook_calls.rotate(request)

    async def SetWebhookEventTypes(self, request: sending.SetWebhookEventTypesRequest, context: Any) -> sending.Webhook:
        return await self._webhook_calls.told_of(request)

    async def RedeliverWebhook(self, request: sending.WebhookRequest, context: Any) -> sending.Webhook:
        return await self._webhook_calls.redeliver(request)
