"""Campaigns, wired by hand. Nothing is opened here."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from postlaw_common.bus import Topic
from postlaw_common.consumers import Consumer
from postlaw_common.ids import new_id
from postlaw_common.keys.customer import CUSTOMER_KEYS, CustomerKeys
from postlaw_common.outbox import Outbox
from postlaw_common.platform import Platform
from postlaw_common.service import Background
from postlaw_common.service_context import ServiceContexts
from postlaw_common.store import Collection, CollectionSpec
from postlaw_sending.campaigns.backlog import Backlog
from postlaw_sending.campaigns.campaigns import CAMPAIGN_DOCUMENTS, Campaigns
from postlaw_sending.campaigns.clients import Consent, Identity, Subscribers
from postlaw_sending.campaigns.consumers import outcomes_consumer, responses_consumer
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.campaigns.domain.recipients import Settled, Tally
from postlaw_sending.campaigns.ending import Ending
from postlaw_sending.campaigns.kept_back import KEPT_BACK, KeptBack
from postlaw_sending.campaigns.keys import CAMPAIGN_KEYS, CampaignKeys, keep_destroying
from postlaw_sending.campaigns.leases import LEASES, Leases
from postlaw_sending.campaigns.opening import BatchOpener
from postlaw_sending.campaigns.outcomes import BATCHES, TOTALS, Outcomes
from postlaw_sending.campaigns.paces import PACES, Paces
from postlaw_sending.campaigns.planner import Planner, Seeds
from postlaw_sending.campaigns.planning import HeldAt, Planning
from postlaw_sending.campaigns.plans import PLANS, Plans
from postlaw_sending.campaigns.responses import RESPONSES, Responses
from postlaw_sending.campaigns.retries import RETRIES, Retries
from postlaw_sending.campaigns.use_cases.create_campaign import AnswersReach, CreateCampaign, Words
from postlaw_sending.campaigns.use_cases.decide_ab_test import DecideAbTests
from postlaw_sending.campaigns.use_cases.get_checklist import GetChecklist
from postlaw_sending.campaigns.use_cases.move_campaign import MoveCampaign, SenderCheck
from postlaw_sending.campaigns.use_cases.pause_senders import PauseSenders
from postlaw_sending.campaigns.use_cases.read_campaigns import ReadCampaigns
from postlaw_sending.campaigns.use_cases.resolve_unknown import ResolveUnknown
from postlaw_sending.campaigns.use_cases.schedule_campaign import BeginScheduled, ScheduleCampaign
from postlaw_sending.campaigns.watch import CampaignWatch
from postlaw_sending.campaigns.wire import CAMPAIGNS, JOBS, OUTCOMES, settled
from postlaw_sending.checklist.checklist import Checklist
from postlaw_sending.checklist.items import Item
from postlaw_sending.forgetting import forgetting
from postlaw_sending.frequency.capping import Capping
from postlaw_sending.frequency.caps import CAPS, Caps
from postlaw_sending.frequency.contacts import CONTACTS, Contacts
from postlaw_sending.frequency.wire import CAPS_CHANGED
from postlaw_sending.messages.campaign import CompiledCampaign, compile_campaign
from postlaw_sending.messages.return_path import ReturnPaths
from postlaw_sending.silence.last_signals import LastSignals
from postlaw_sending.tracking.messages import TrackedCampaign, tracked
from postlaw_sending.tracking.tokens import Tokens

COLLECTIONS = (
    CAMPAIGN_DOCUMENTS, CAMPAIGN_KEYS, CUSTOMER_KEYS, LEASES, PLANS, RETRIES, KEPT_BACK, PACES, RESPONSES, BATCHES, TOTALS, CAPS, CONTACTS
)  # fmt: skip
TOPICS = (Topic(CAMPAIGNS), Topic(JOBS), Topic(OUTCOMES), Topic(CAPS_CHANGED))


@dataclass(frozen=True, slots=True)
class CampaignParts:
    """What the service is made of. `always` runs in every process of sending, `sweeping` where campaigns are changed (by people or by
    the planner), `planning` and `consumers` in the planner's."""

    create: CreateCampaign
    move: MoveCampaign
    schedule: ScheduleCampaign
    begin_scheduled: BeginScheduled
    deciding: DecideAbTests
    responses: Responses
    tally: Callable[[str], Awaitable[Tally]]
    caps: Caps
    compiled: Callable[[Campaign], CompiledCampaign]
    subscribers: Subscribers
    single_consent: Consent
    identity: Identity
    contexts: Callable[[], ServiceContexts]
    seeds: list[Seeds]
    resolve_unknown: ResolveUnknown
    pause_senders: PauseSenders
    checklist: GetChecklist
    read: ReadCampaigns
    campaigns: Campaigns
    opener: BatchOpener
    watch: CampaignWatch
    always: Sequence[Background]
    sweeping: Background
    planning: Sequence[Background]
    consumers: Sequence[Consumer]


def assemble(
    platform: Platform,
    database: str,
    holdings: CollectionSpec,
    backlog_limit: int,
    *,
    approved: Callable[[str, int, str], Awaitable[Words]],
    is_single: Callable[[str], bool],
    settle_single: Callable[[Settled], Awaitable[None]],
    refused: Callable[[Iterable[Settled]], Awaitable[None]],
    return_paths: ReturnPaths,
    tracking_tokens: Tokens,
    require_free: Callable[[str, str], Awaitable[None]],
    held_at: HeldAt,
    last_signals: LastSignals,
    links_host: Callable[[str, str], Awaitable[str]],
    answers_reach: AnswersReach,
    may_send_from: SenderCheck | None = None,
    second_opinion: Callable[[Campaign], Awaitable[Item | None]] | None = None,
) -> CampaignParts:
    """`database`: sending's own. `approved`: a template's version. `holdings`: the stop's, whose job offsets say what stands in the log.
    `is_single`: of a settled batch, whether it is a single message's, which `settle_single` takes. `refused`: see
    outcomes_consumer. `may_send_from`, `require_free`: see MoveCampaign. `links_host`: see BatchOpener. `answers_reach`: see
    CreateCampaign. `held_at`: see Planning."""
    store = platform.store(database)

    def opened(spec: CollectionSpec) -> Collection:
        return store.collection(spec.name)

    def partitions() -> int:
        return platform.bus.partitions

    def compiled(campaign: Campaign) -> CompiledCampaign:
        return _compile(campaign, platform.public_url, return_paths)

    def mailed(campaign: Campaign, links_host: str = "") -> CompiledCampaign | TrackedCampaign:
        links_at = f"https://{links_host}" if links_host else platform.public_url
        return tracked(campaign, compiled, tracking_tokens, links_at, platform.now_us)

    contexts: list[ServiceContexts] = []

    def acting() -> ServiceContexts:
        # Channels are made once the loop runs.
        if not contexts:
            contexts.append(ServiceContexts(platform.channel("identity"), "sending", now_us=platform.now_us))
        return contexts[0]

    outbox = Outbox(platform.bus, lambda: [opened(CAMPAIGN_DOCUMENTS), opened(CAPS)])
    campaigns = Campaigns(lambda: opened(CAMPAIGN_DOCUMENTS), outbox, partitions)
    keys = CampaignKeys(lambda: opened(CAMPAIGN_KEYS), CustomerKeys(store, platform.root_key))
    leases = Leases(lambda: opened(LEASES), f"{socket.gethostname()}-{os.getpid()}-{new_id('pln')}", platform.generation)
    plans = Plans(lambda: opened(PLANS))
    retries = Retries(lambda: opened(RETRIES), lambda: opened(BATCHES))
    kept = KeptBack(lambda: opened(KEPT_BACK))
    paces = Paces(lambda: opened(PACES))
    responses = Responses(lambda: opened(RESPONSES))
    deciding = DecideAbTests(campaigns, responses, platform.now_us)
    outcomes = Outcomes(lambda: opened(BATCHES), lambda: opened(TOTALS), lambda: opened(RETRIES))
    watch = CampaignWatch(platform.bus, campaigns)
    subscribers = Subscribers(platform.channel)
    consent = Consent(platform.channel, platform.generation)
    sampling = Consent(platform.channel, platform.generation, bulk=False)
    caps = Caps(lambda: opened(CAPS), outbox, partitions, platform.now_us)
    capping = Capping(caps, Contacts(lambda: opened(CONTACTS)), campaigns.find, platform.now_us)
    seeds: list[Seeds] = []  # team addresses, which are made after campaigns, put theirs in
    planner = Planner(
        partitions=partitions,
        campaigns=campaigns,
        leases=leases,
        keys=keys,
        watch=watch,
        planning=Planning(
            platform.bus,
            plans,
            retries,
            kept,
            paces,
            subscribers,
            consent,
            capping.had_enough,
            last_signals.long_silent,
            held_at,
            platform.now_us,
        ),
        backlog=Backlog(platform.bus, lambda: opened(holdings), backlog_limit),
        retries=retries,
        kept=kept,
        ending=Ending(campaigns, outcomes, kept, platform.now_us),
        deciding=deciding,
        seeds=seeds,
        contexts=acting,
        backlog_limit=backlog_limit,
    )

    async def check_template(campaign: Campaign) -> None:
        if campaign.template_id:  # it may have been retired since
            await approved(campaign.template_id, campaign.template_version, campaign.tenant_id)

    checklist = Checklist(
        subscribers,
        sampling,
        sampling.described,
        acting,
        compiled,
        partitions,
        check_template,
        may_send_from,
        answers_reach,
        last_signals.number_silent,
        second_opinion,
    )
    identity = Identity(platform.channel)
    move = MoveCampaign(campaigns, keys, leases, identity, checklist, planner.nudge, platform.now_us, may_send_from, require_free)
    begin_scheduled = BeginScheduled(campaigns, move, acting, platform.now_us)

    async def forget(campaign_id: str) -> None:
        await kept.forget(campaign_id)
        await paces.forget(campaign_id)
        await responses.forget(campaign_id)

    return CampaignParts(
        create=CreateCampaign(campaigns, subscribers, acting, approved, mailed, platform.now_us, answers_reach),
        move=move,
        schedule=ScheduleCampaign(campaigns, identity, subscribers, acting, platform.now_us),
        begin_scheduled=begin_scheduled,
        deciding=deciding,
        responses=responses,
        tally=outcomes.tally,
        caps=caps,
        compiled=compiled,
        subscribers=subscribers,
        single_consent=sampling,
        identity=identity,
        contexts=acting,
        seeds=seeds,
        resolve_unknown=ResolveUnknown(campaigns, keys, leases, outcomes, kept, settled, platform.now_us, require_free, may_send_from),
        checklist=GetChecklist(campaigns, identity, checklist, platform.now_us),
        pause_senders=PauseSenders(campaigns, platform.now_us),
        read=ReadCampaigns(campaigns, plans, outcomes, retries, settled, partitions, responses),
        campaigns=campaigns,
        opener=BatchOpener(keys, campaigns, watch, mailed, links_host),
        watch=watch,
        always=(Background("campaign watch", watch.run),),
        sweeping=Background("campaign outbox", outbox.run),
        planning=(
            Background("planner", planner.run),
            Background("scheduled campaigns", begin_scheduled.run),
            forgetting("frequency caps", capping.forget),
            Background("campaign keys", lambda: keep_destroying(keys, campaigns, platform.now_us, forget)),
        ),
        consumers=(
            outcomes_consumer(outcomes, is_single, settle_single, capping.note, refused),
            responses_consumer(responses, campaigns, keys),
        ),
    )


def _compile(campaign: Campaign, public_url: str, return_paths: ReturnPaths) -> CompiledCampaign:
    return compile_campaign(
        subject=campaign.template.subject,
        html=campaign.template.html,
        text=campaign.template.text,
        images=campaign.template.images,
        sender_name=campaign.sender.name,
        sender_address=campaign.sender.address,
        reply_to=campaign.sender.reply_to,
        postal_address=campaign.sender.postal_address,
        contact=campaign.contact,
        campaign_id=campaign.campaign_id,
        list_id=campaign.list_id,
        list_name=campaign.list_name,
        public_url=public_url,
        return_paths=return_paths,
        answers_to_us=bool(campaign.forward_answers_to),
    )
