"""Audit, wired by hand. `build` opens nothing."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from postlaw.audit.v1.audit_pb2_grpc import add_AuditServiceServicer_to_server
from postlaw_audit.evidence.gathering import Evidence
from postlaw_audit.index import EVENT_INDEX, EventIndex
from postlaw_audit.intrusion.watching import Watching
from postlaw_audit.key_chain import succession_path
from postlaw_audit.log_state import LOG, LogStates
from postlaw_audit.open_files import OpenFiles
from postlaw_audit.publishing import Publisher
from postlaw_audit.reader import LogReader
from postlaw_audit.reconciliations import RECONCILED, Reconciliations
from postlaw_audit.reconciling import LogChecks
from postlaw_audit.reports.assembly import COLLECTIONS, Reporting
from postlaw_audit.reports.covering import Covering
from postlaw_audit.search.calls import People, SearchCalls
from postlaw_audit.search.indexing import Indexer
from postlaw_audit.search.searching import Search
from postlaw_audit.search.spans import ROWS, SPANS, Spans
from postlaw_audit.servicer import AuditServicer
from postlaw_audit.signing import LOG_KEYS, Signer
from postlaw_audit.sources import PREFIX, VERIFIER_KEY, BlobFiles
from postlaw_audit.sweeping import Sweeping
from postlaw_audit.witness_policy import Policy, PolicyInvalid, parse_policy
from postlaw_audit.witnessing import Witnessing
from postlaw_audit.writer import Writer
from postlaw_common.bus import Topic
from postlaw_common.contracts import event_topics
from postlaw_common.ids import new_id
from postlaw_common.opening import StartRefused
from postlaw_common.operator_acts import OperatorActs
from postlaw_common.platform import Platform
from postlaw_common.reconciling import ReconcilingSettings
from postlaw_common.reconciling.assembly import assemble_reconciling
from postlaw_common.reconciling.runs import RECONCILIATIONS
from postlaw_common.service import Background, Service, Servicer
from postlaw_common.settings import load


class AuditSettings(BaseSettings):
    """`POSTLAW_AUDIT_…`. `origin` is the log's name in every checkpoint; changing it makes it another log."""

    model_config = SettingsConfigDict(env_prefix="POSTLAW_AUDIT_", env_ignore_empty=True, extra="ignore", frozen=True)

    origin: str = Field("postlaw.example/log", pattern=r"^[^\s+]+$", description="a name like example.com/log, without spaces or plus")
    signing_keys: str = Field(
        "1", pattern=r"^[1-9][0-9]{0,2}(,[1-9][0-9]{0,2})*$", description="numbers of the log's keys that sign, like 1,2"
    )
    retention_days: int = Field(0, ge=0, le=36_500, description="days that full tiles are locked for, 0 for no lock")
    entries_are_public: bool = Field(False, description="true where whoever reaches the gateway may read every customer's entries")
    witnesses: Path | None = Field(None, description="a file with a witness policy: lines of witness, group and quorum")
    chromium: str = Field("", description="the program that prints reports as PDF; empty: a Chromium that is installed, none: no PDF")
    reports_days: int = Field(400, ge=1, le=36_500, description="days that reports are kept for, from when they were asked for")
    witness_every_s: float = Field(10.0, gt=0, le=86_400, description="seconds between two checkpoints that witnesses are asked to cosign")


def build(platform: Platform, settings: AuditSettings) -> Service:
    store = platform.store("audit")
    index = EventIndex(lambda: store.collection(EVENT_INDEX.name))
    signer = Signer(
        lambda: store.collection(LOG_KEYS.name),
        platform.root_key,
        settings.origin,
        [int(number) for number in settings.signing_keys.split(",")],
    )

    def retain_until() -> datetime | None:
        return datetime.now(UTC) + timedelta(days=settings.retention_days) if settings.retention_days else None

    reader = LogReader(platform.blobs, index, witnessed=lambda: witnessing.policy.quorum != "none")

    async def prove(first: int, second: int) -> list[bytes]:
        return (await reader.prove_consistency(first, second))[1]

    publisher = Publisher(platform.blobs, signer.sign, settings.origin)
    witnessing = Witnessing(publisher, prove, every_s=settings.witness_every_s)
    states = LogStates(lambda: store.collection(LOG.name), f"{socket.gethostname()}-{os.getpid()}-{new_id('aud')}")
    writer = Writer(
        platform.bus,
        platform.blobs,
        states,
        index,
        event_topics(),
        publisher,
        retain_until,
        witnessing,
    )

    sweeping = Sweeping(platform.blobs, lambda: store.collection(LOG.name), platform.now_us)

    async def on_start() -> None:
        if kept := await platform.blobs.default_retention():
            raise StartRefused(
                f"the bucket in POSTLAW_BLOBS keeps every new object for {kept.days} days, so the audit log's checkpoint could not be "
                "replaced; take the default retention off the bucket: POSTLAW_AUDIT_RETENTION_DAYS locks what is to be locked"
            )
        witnessing.policy = _policy(settings.witnesses)
        await signer.start()
        for number, note in signer.successions.items():
            await platform.blobs.put(PREFIX + succession_path(number), note.encode())
        await platform.blobs.put(PREFIX + VERIFIER_KEY, (signer.verifier() + "\n").encode())

    indexer = Indexer(reader, Spans(lambda: store.collection(SPANS.name), lambda: store.collection(ROWS.name)))
    search = SearchCalls(Search(reader, indexer), indexer, reader, People(platform.channel))

    evidence = Evidence(Search(reader, indexer), reader, People(platform.channel), platform.channel, signer, lambda: witnessing.policy)
    covering = Covering(platform.bus, states.read, reader)
    reporting = Reporting(platform, reader, indexer, lambda: witnessing.policy, signer, settings.chromium, settings.reports_days, covering)
    files = OpenFiles(BlobFiles(platform.blobs), settings.entries_are_public)
    reconciliations = Reconciliations(lambda: store.collection(RECONCILED.name))
    acts = OperatorActs(platform.bus, "audit")
    servicer = AuditServicer(reader, signer, search, evidence, reporting.calls, lambda: witnessing.policy, files, acts, reconciliations)
    reconciling = load(ReconcilingSettings)
    checks = LogChecks(reader, platform.bus, states.read, reconciling.before_us(platform.now_us))
    reconciled = assemble_reconciling(platform, "audit", "audit", checks.all(), reconciling)
    return Service(
        name="audit",
        databases={"audit": (LOG, EVENT_INDEX, LOG_KEYS, SPANS, ROWS, RECONCILED, RECONCILIATIONS, *COLLECTIONS)},
        topics=tuple(Topic(name) for name in event_topics()),
        servicers=(Servicer("postlaw.audit.v1.AuditService", add_AuditServiceServicer_to_server, servicer), reconciled.servicer),
        consumers=(reconciliations.consumer(), Watching(platform.bus).consumer(), reporting.consumer),
        backgrounds=(
            Background("audit writer", writer.run),
            Background("audit search", indexer.run),
            Background("audit partial tiles", sweeping.run),
            reconciled.background,
            *reporting.backgrounds,
        ),
        on_start=on_start,
    )


def _policy(file: Path | None) -> Policy:
    if file is None:
        return Policy()
    try:
        return parse_policy(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, PolicyInvalid) as wrong:
        raise StartRefused(f"POSTLAW_AUDIT_WITNESSES names {file}: {wrong}") from wrong
