"""Returns, wired by hand. Nothing is opened here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from postlaw_common.bus import Topic
from postlaw_common.platform import Platform
from postlaw_common.service import Background
from postlaw_common.service_context import ServiceContexts
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.messages.return_path import ReturnPaths
from postlaw_sending.returns.acting import Acting
from postlaw_sending.returns.held import HeldReturns
from postlaw_sending.returns.listener import Inbox, Listener
from postlaw_sending.returns.people import People
from postlaw_sending.returns.proofs import Proof
from postlaw_sending.returns.providers import PROVIDERS, Providers
from postlaw_sending.returns.received import RECEIVED, Received
from postlaw_sending.returns.soft_bounces import SOFT_BOUNCES, SoftBounces
from postlaw_sending.returns.wire import RETURNS

COLLECTIONS = (RECEIVED, SOFT_BOUNCES, PROVIDERS)
TOPICS = (Topic(RETURNS),)


@dataclass(frozen=True, slots=True)
class ReturnParts:
    """`taking`: what runs where returns are taken; nothing without an inbox."""

    held: HeldReturns
    taking: Sequence[Background]


def assemble_returns(platform: Platform, database: str, paths: ReturnPaths, campaigns: Campaigns, inbox: Inbox | None) -> ReturnParts:
    """`database`: sending's own."""
    store = platform.store(database)
    received = Received(lambda: store.collection(RECEIVED.name), platform.platform_keys, platform.now_us)

    providers = Providers(lambda: store.collection(PROVIDERS.name))
    held = HeldReturns(received, providers)
    if inbox is None:
        return ReturnParts(held, ())

    @cache  # channels are made once the loop runs
    def contexts() -> ServiceContexts:
        return ServiceContexts(platform.channel("identity"), "sending", now_us=platform.now_us)

    acting = Acting(
        received,
        SoftBounces(lambda: store.collection(SOFT_BOUNCES.name)),
        providers,
        People(platform.channel, contexts, campaigns.find),
        platform.bus,
    )

    async def take(about: Proof, content: bytes) -> None:
        await received.take(about, content)
        acting.nudge()

    listener = Listener(inbox, paths, take)
    return ReturnParts(
        held,
        (
            Background("returned mail", listener.run),
            Background("acting on returned mail", acting.run),
            Background("forgetting returned mail", acting.keep_forgetting),
        ),
    )
