"""Returns, wired by hand. Nothing is opened here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from postlaw_common.bus import Topic
from postlaw_common.outbox import Outbox
from postlaw_common.platform import Platform
from postlaw_common.service import Background
from postlaw_common.service_context import ServiceContexts
from postlaw_common.store import Collection
from postlaw_sending.campaigns.assembly import CampaignParts
from postlaw_sending.campaigns.use_cases.move_campaign import SenderCheck
from postlaw_sending.forgetting import forgetting
from postlaw_sending.messages.return_path import ReturnPaths
from postlaw_sending.returns.acting import Acting
from postlaw_sending.returns.answers.limits import ANSWERED, Limits
from postlaw_sending.returns.answers.passing_on import PassOn
from postlaw_sending.returns.answers.taking import TakeAnswer
from postlaw_sending.returns.counts import COUNTS, Counts
from postlaw_sending.returns.held import HeldReturns
from postlaw_sending.returns.judging import Judging, recent
from postlaw_sending.returns.listener import Inbox, Listener
from postlaw_sending.returns.passes import Passes
from postlaw_sending.returns.people import People
from postlaw_sending.returns.postmaster import POSTMASTER, PostmasterRates, SenderDomain
from postlaw_sending.returns.proofs import Proof
from postlaw_sending.returns.provider_rates import ProviderRates
from postlaw_sending.returns.providers import PROVIDERS, Providers
from postlaw_sending.returns.received import ANSWERS, RECEIVED, Received
from postlaw_sending.returns.soft_bounces import SOFT_BOUNCES, SoftBounces
from postlaw_sending.returns.webhooks.taking import Secrets, TakeReports
from postlaw_sending.returns.wire import HOLDS, RETURNS
from postlaw_sending.singles.domain import SentSingle
from postlaw_sending.singles.send_single import Posting
from postlaw_sending.team.addresses import TeamAddresses

COLLECTIONS = (RECEIVED, ANSWERS, ANSWERED, SOFT_BOUNCES, PROVIDERS, COUNTS, POSTMASTER)
TOPICS = (Topic(RETURNS), Topic(HOLDS))


@dataclass(frozen=True, slots=True)
class ReturnParts:
    """`acting`: runs wherever something may be taken. `taking`: the listener; nothing without an inbox."""

    held: HeldReturns
    judging: Judging
    by_provider: ProviderRates
    reports: TakeReports
    acting: Sequence[Background]
    taking: Sequence[Background]


def received_in(platform: Platform, database: str) -> Received:
    """`database`: sending's own."""
    store = platform.store(database)
    return Received(lambda: store.collection(RECEIVED.name), platform.platform_keys, platform.now_us)


def counts_in(platform: Platform, database: str) -> tuple[Counts, Outbox]:
    """`database`: sending's own."""
    store = platform.store(database)

    def opened() -> Collection:
        return store.collection(COUNTS.name)

    outbox = Outbox(platform.bus, lambda: [opened()])
    return Counts(opened, outbox, lambda: platform.bus.partitions), outbox


def assemble_returns(
    platform: Platform,
    database: str,
    received: Received,
    counts: Counts,
    holds: Outbox,
    domains: Callable[[], AsyncIterator[SenderDomain]],
    cells: Callable[[str], Awaitable[Mapping[str, int]]],
    paths: ReturnPaths,
    parts: CampaignParts,
    single: Callable[[str], Awaitable[SentSingle | None]],
    inbox: Inbox | None,
    secrets: Secrets,
    take_report: Callable[[str, bytes], Awaitable[None]],
    team: TeamAddresses,
    post: Posting,
    may_send_from: SenderCheck | None,
    heard: Callable[[Mapping[tuple[str, bytes], int]], Awaitable[None]],
) -> ReturnParts:
    """`database`: sending's own. `single`: see People. `take_report`: see Listener. `may_send_from`: see MoveCampaign.
    `heard`: see LastSignals. `holds`: of `counts`. `domains`, `cells`: see PostmasterRates, ProviderRates."""
    store = platform.store(database)
    providers = Providers(lambda: store.collection(PROVIDERS.name))

    @cache  # channels are made once the loop runs
    def contexts() -> ServiceContexts:
        return ServiceContexts(platform.channel("identity"), "sending", now_us=platform.now_us)

    by_provider = ProviderRates(
        counts,
        PostmasterRates(lambda: store.collection(POSTMASTER.name), domains, platform.now_us),
        lambda tenant_id: recent(parts.campaigns, tenant_id, platform.now_us()),
        cells,
        platform.now_us,
    )
    judging = Judging(counts, parts.campaigns, parts.read.totals, parts.pause_senders, platform.now_us, by_provider)
    acting = Acting(
        received,
        SoftBounces(lambda: store.collection(SOFT_BOUNCES.name)),
        providers,
        People(platform.channel, contexts, parts.campaigns.find, single),
        platform.bus,
        judging.count,
    )

    returned = Passes("returned mail", acting.act)
    answers = Received(lambda: store.collection(ANSWERS.name), platform.platform_keys, platform.now_us)
    limits = Limits(lambda: store.collection(ANSWERED.name), platform.now_us)
    pass_on = PassOn(answers, limits, parts.campaigns.find, team, post, contexts, may_send_from, heard)
    answered = Passes("answers", pass_on.once)

    async def take(about: Proof, content: bytes) -> None:
        await received.take(about, content)
        returned.nudge()

    def nudge() -> None:
        returned.nudge()
        answered.nudge()

    answer = TakeAnswer(received, answers, limits, parts.campaigns.find, team.reach, nudge, may_send_from)

    return ReturnParts(
        HeldReturns(received, providers),
        judging,
        by_provider,
        TakeReports(secrets, received, paths.read, returned.nudge),
        acting=(
            Background("acting on returned mail", returned.run),
            Background("rates by provider", by_provider.run),
            Background("holds outbox", holds.run),
            forgetting("forgetting returned mail", acting.forget),
            Background("passing answers on", answered.run),
            forgetting("forgetting answers", answers.forget, limits.forget),
        ),
        taking=(Background("returned mail", Listener(inbox, paths, take, take_report, answer).run),) if inbox is not None else (),
    )
