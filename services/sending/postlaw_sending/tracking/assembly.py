"""Tracking, wired by hand. Nothing is opened here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from postlaw_common.bus import Topic
from postlaw_common.platform import Platform
from postlaw_common.service import Background
from postlaw_common.service_context import ServiceContexts
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.clients import Consent
from postlaw_sending.tracking.record_hit import RecordHit
from postlaw_sending.tracking.recording import Recording
from postlaw_sending.tracking.tokens import Tokens
from postlaw_sending.tracking.wire import TRACKING

TOPICS = (Topic(TRACKING),)


@dataclass(frozen=True, slots=True)
class TrackingParts:
    """`recording` runs where hits are taken."""

    record: RecordHit
    recording: Background


def assemble_tracking(platform: Platform, tokens: Tokens, campaigns: Campaigns) -> TrackingParts:
    @cache  # channels are made once the loop runs
    def contexts() -> ServiceContexts:
        return ServiceContexts(platform.channel("identity"), "sending", now_us=platform.now_us)

    def partition(tenant_id: str, address_key: bytes) -> int:
        return platform.placement().partition(tenant_id, address_key)

    consent = Consent(platform.channel, platform.generation, bulk=False)
    recording = Recording(campaigns.find, consent.decide, contexts, partition, platform.bus, platform.now_us)
    record = RecordHit(tokens, campaigns.find, recording.take, platform.now_us)
    return TrackingParts(record, Background("recording clicks and opens", recording.run))
