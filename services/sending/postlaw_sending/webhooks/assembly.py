"""Webhooks, wired by hand. Nothing is opened here."""

from __future__ import annotations

import time
from dataclasses import dataclass

from postlaw_common.bus import Topic
from postlaw_common.consumers import Consumer
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.outbox import Outbox
from postlaw_common.platform import Platform
from postlaw_common.service import Background
from postlaw_common.store import Collection
from postlaw_sending.domains.dns import Dns
from postlaw_sending.webhooks.calls import WebhookCalls
from postlaw_sending.webhooks.deliveries import DELIVERIES, Deliveries
from postlaw_sending.webhooks.destination import by_dns, by_system
from postlaw_sending.webhooks.endpoints import WEBHOOKS, Webhooks
from postlaw_sending.webhooks.posting import Posting
from postlaw_sending.webhooks.turns import TURNS, Turns
from postlaw_sending.webhooks.wire import WEBHOOKS_CHANGED

COLLECTIONS = (WEBHOOKS, DELIVERIES, TURNS)
TOPICS = (Topic(WEBHOOKS_CHANGED),)


@dataclass(frozen=True, slots=True)
class WebhookParts:
    calls: WebhookCalls
    consumer: Consumer
    backgrounds: tuple[Background, ...]


def assemble_webhooks(platform: Platform, database: str, dns: Dns, *, private: bool) -> WebhookParts:
    """`database`: sending's own. `private`: webhooks may lead into our own network (development)."""
    store = platform.store(database)

    def opened() -> Collection:
        return store.collection(WEBHOOKS.name)

    outbox = Outbox(platform.bus, lambda: [opened()])
    webhooks = Webhooks(opened, outbox, lambda: platform.bus.partitions, CustomerKeys(store, platform.root_key), platform.now_us)
    post = Posting(webhooks, by_system if private else by_dns(dns), private=private)
    turns = Turns(lambda: store.collection(TURNS.name))
    deliveries = Deliveries(lambda: store.collection(DELIVERIES.name), turns, webhooks, post, platform.now_us, time.monotonic)
    backgrounds = (Background("webhooks", deliveries.run), outbox.background("webhooks outbox"))
    return WebhookParts(WebhookCalls(webhooks, deliveries, private=private), deliveries.consumer(), backgrounds)
