"""Sending, wired by hand. `build` opens nothing."""

from __future__ import annotations

from postlaw.sending.v1.sending_pb2_grpc import add_SendingServiceServicer_to_server
from postlaw_common.operator_acts import ACTS, OperatorActs
from postlaw_common.platform import Platform
from postlaw_common.reconciling import ReconcilingSettings
from postlaw_common.reconciling.assembly import assemble_reconciling
from postlaw_common.reconciling.runs import RECONCILIATIONS
from postlaw_common.reconciling.wire import RESULTS
from postlaw_common.service import Background, Service, Servicer
from postlaw_common.settings import load
from postlaw_common.store import Collection
from postlaw_sending.analytics import assembly as analytics
from postlaw_sending.campaigns import assembly as campaigns
from postlaw_sending.campaigns.outcomes import BATCHES
from postlaw_sending.campaigns.reconciling import BatchChecks
from postlaw_sending.domains import assembly as domains
from postlaw_sending.domains.watching import DomainWatch
from postlaw_sending.forgetting import forgetting
from postlaw_sending.handoffs.calls import ReconcileRelayLog
from postlaw_sending.handoffs.reconciling import HandOffs
from postlaw_sending.messages.return_path import ReturnPaths
from postlaw_sending.mx import assembly as mx_assembly
from postlaw_sending.mx.assembly import straight_to_mx
from postlaw_sending.opinion import assembly as opinion
from postlaw_sending.reports import assembly as reports
from postlaw_sending.returns import assembly as returns
from postlaw_sending.returns.refusals import Refusals
from postlaw_sending.servicer import SendingServicer
from postlaw_sending.settings import SendingSettings
from postlaw_sending.silence.hearing import hearing
from postlaw_sending.silence.last_signals import LAST_SIGNALS, last_signals_in
from postlaw_sending.singles import assembly as singles
from postlaw_sending.singles.domain import is_attempt
from postlaw_sending.singles.opening import opener, status
from postlaw_sending.singles.own_words import words_compiler
from postlaw_sending.singles.send_single import Posting, SendSingle
from postlaw_sending.stop import assembly as stop
from postlaw_sending.stop.holdings import HOLDINGS
from postlaw_sending.team.assembly import COLLECTIONS as TEAM_COLLECTIONS
from postlaw_sending.team.assembly import TOPICS as TEAM_TOPICS
from postlaw_sending.team.assembly import assemble_team, team_addresses_in
from postlaw_sending.templates import assembly as templates
from postlaw_sending.tracking import assembly as tracking
from postlaw_sending.tracking.tokens import Tokens
from postlaw_sending.webhooks import assembly as webhooks

DATABASE = "sending"


def build(platform: Platform, settings: SendingSettings) -> Service:
    return_paths = ReturnPaths(platform.platform_keys, settings.return_host)
    tracking_tokens = Tokens(platform.platform_keys)
    received, (counts, holds) = returns.received_in(platform, DATABASE), returns.counts_in(platform, DATABASE)
    written = templates.assemble_templates(platform, DATABASE)
    domain = domains.assemble_domains(platform, DATABASE, settings.resolver(), settings.expected_of_domains())
    denying = settings.unverified_domains == "deny"
    may_send_from = domain.keep.require_verified if denying else None
    single = singles.assemble_singles(platform, DATABASE, may_send_from, settings.fallback_from)
    asked = settings.second_opinion()
    second_opinion, put_prompt = opinion.assemble_opinion(platform, DATABASE, asked) if asked else (None, None)
    team_addresses, _ = team_addresses_in(platform, DATABASE)
    signals = last_signals_in(platform, DATABASE)
    parts = campaigns.assemble(
        platform,
        DATABASE,
        HOLDINGS,
        settings.planner_backlog,
        approved=written.judge.approved_now,
        is_single=is_attempt,
        settle_single=single.singles.settle,
        refused=Refusals(received).take,
        return_paths=return_paths,
        tracking_tokens=tracking_tokens,
        require_free=counts.require_free,
        held_at=counts.held_at,
        last_signals=signals,
        links_host=domain.keep.links_host,
        answers_reach=team_addresses.reach,
        may_send_from=may_send_from,
        second_opinion=second_opinion,
    )
    watch = DomainWatch(domain.domains, domain.keep, parts.pause_senders if denying else None, platform.now_us)
    checking = Background("sender domains", watch.run)
    relay_queue = stop.relay_queue_in(platform, DATABASE, settings.declared_queue_life)
    stopping = stop.assemble_stop(platform, DATABASE, relay_queue)
    serving, planning, working, returned = map(settings.has_role, ("api", "planner", "worker", "returns"))
    posting = Posting(single.singles, parts.single_consent, platform.placement)
    send_single = SendSingle(
        posting, parts.subscribers, parts.identity, parts.contexts, written.judge.approved_now, parts.compiled, may_send_from
    )
    team = assemble_team(platform, DATABASE, parts, single.send, posting, may_send_from)
    parts.seeds.append(team.seeding)
    compile_words = words_compiler(written.judge.approved_now, parts.campaigns.find, parts.compiled)
    opening = domain.signers.opener(opener(single.singles, parts.opener.open, platform.public_url, return_paths, compile_words))
    mx = settings.mx()
    straight = None if mx is None else lambda: straight_to_mx(mx, settings.resolver(), platform.store(DATABASE).collection, platform.now_us)
    worker = stop.WorkerParts(
        platform,
        DATABASE,
        settings.relay(),
        opening,
        status(parts.watch.status, platform.now_us),
        straight,
        relay_queue,
        rests=settings.only_delivers,
    )
    reported = reports.assemble_reports(platform, DATABASE, domain, return_paths)
    figures = analytics.assemble_analytics(platform, DATABASE, parts.campaigns, parts.tally, hearing(signals))
    returning = returns.assemble_returns(
        platform,
        DATABASE,
        received,
        counts,
        holds,
        domain.domains.all,
        figures.cells,
        return_paths,
        parts,
        single.singles.sent,
        settings.inbox(),
        settings.webhook_secrets(),
        reported.take,
        team_addresses,
        posting,
        may_send_from,
        signals.heard,
    )
    hits = tracking.assemble_tracking(platform, tracking_tokens, parts.campaigns)
    hooks = webhooks.assemble_webhooks(platform, DATABASE, settings.resolver(), private=settings.webhooks_into_our_network == "allow")
    reconciling = load(ReconcilingSettings)
    before_us = reconciling.before_us(platform.now_us)

    def kept_batches() -> Collection:
        return platform.store(DATABASE).collection(BATCHES.name)

    hand_offs = HandOffs(kept_batches, single.singles.handed, platform.bus, before_us)
    checks = BatchChecks(
        kept_batches,
        platform.bus,
        stopping.holdings.all,
        is_attempt,
        platform.generation,
        before_us,
    )
    reconciled = assemble_reconciling(platform, "sending", DATABASE, (*checks.all(), hand_offs.against_returns()), reconciling)

    servicer = SendingServicer(
        create=parts.create,
        move=parts.move,
        schedule=parts.schedule,
        deciding=parts.deciding,
        caps=parts.caps,
        resolve_unknown=parts.resolve_unknown,
        checklist=parts.checklist,
        read=parts.read,
        send=single.send,
        send_single=send_single,
        templates=written,
        team=team,
        domains=domain.keep,
        domain_reports=reported.read,
        await_stopped=stopping.answer,
        attest=stopping.attest,
        list_holdings=stopping.holdings_now,
        held_returns=returning.held,
        judging=returning.judging,
        provider_rates=returning.by_provider,
        reports=returning.reports,
        record_hit=hits.record,
        analytics=figures,
        webhooks=hooks.calls,
        acts=OperatorActs(platform.bus, "sending"),
        relay_log=ReconcileRelayLog(reconciled.reconciler, hand_offs, return_paths.read, platform.now_us),
    )

    async def start() -> None:
        await return_paths.start()
        await tracking_tokens.start()
        await stopping.ensure()
        if put_prompt is not None:
            await put_prompt()

    topics = {
        topic.name: topic
        for topic in (
            *stop.TOPICS,
            *campaigns.TOPICS,
            *returns.TOPICS,
            *templates.TOPICS,
            *domains.TOPICS,
            *tracking.TOPICS,
            *TEAM_TOPICS,
            *webhooks.TOPICS,
            ACTS,
            RESULTS,
        )
    }

    return Service(
        name="sending",
        databases={
            DATABASE: (
                *campaigns.COLLECTIONS,
                *singles.COLLECTIONS,
                *stop.COLLECTIONS,
                *mx_assembly.COLLECTIONS,
                *returns.COLLECTIONS,
                *templates.COLLECTIONS,
                *domains.COLLECTIONS,
                *reports.COLLECTIONS,
                *TEAM_COLLECTIONS,
                *analytics.COLLECTIONS,
                LAST_SIGNALS,
                *webhooks.COLLECTIONS,
                *opinion.COLLECTIONS,
                RECONCILIATIONS,
            )
        },
        topics=tuple(topics.values()),
        servicers=(Servicer("postlaw.sending.v1.SendingService", add_SendingServiceServicer_to_server, servicer), reconciled.servicer)
        if serving
        else (),
        consumers=(*((*parts.consumers, figures.consumer) if planning else ()), *((hooks.consumer,) if serving else ())),
        backgrounds=(
            *parts.always,
            *((parts.sweeping,) if serving or planning else ()),
            *((*parts.planning, figures.reconciling) if planning else ()),
            *(
                (
                    stopping.answering,
                    *stopping.sweeping,
                    single.sweeping,
                    written.sweeping,
                    team.sweeping,
                    *domain.backgrounds,
                    checking,
                    reported.forgetting,
                    hits.recording,
                    forgetting("people's last signs", signals.forget_old, every_s=24 * 3600.0),
                    *hooks.backgrounds,
                    reconciled.background,
                )
                if serving
                else ()
            ),
            *((Background("worker", worker.run),) if working else ()),
            *(returning.acting if serving or returned else ()),
            *(returning.taking if returned else ()),
        ),
        on_start=start,
    )
