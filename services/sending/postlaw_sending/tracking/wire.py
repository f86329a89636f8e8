"""Tracking as protobuf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Record
from postlaw_common.events import new_event, partition_of, to_record
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.tracking.domain import Kind, Tracking

TRACKING: Final = "postlaw.sending.tracking.v1"
HITS_RECORDED: Final = "postlaw.sending.HitsRecorded"

_KINDS: Final[dict[Kind, sending.Hit.Kind.ValueType]] = {"open": sending.Hit.KIND_OPEN, "click": sending.Hit.KIND_CLICK}


class Hit(Protocol):
    @property
    def kind(self) -> Kind: ...
    @property
    def link(self) -> int: ...
    @property
    def person(self) -> bytes: ...
    @property
    def at_us(self) -> int: ...
    @property
    def machine(self) -> str: ...


def tracking_from_wire(asked: sending.Tracking) -> Tracking:
    return Tracking(asked.opens, asked.clicks, asked.counts)


def tracking_to_wire(tracking: Tracking) -> sending.Tracking | None:
    return sending.Tracking(opens=tracking.opens, clicks=tracking.clicks, counts=tracking.counts) if tracking.on else None


def kind_from_wire(kind: int) -> Kind:
    return "open" if kind == sending.Hit.KIND_OPEN else "click"


def people_in(value: bytes) -> tuple[str, str, list[tuple[Kind, bytes]]]:
    """(customer, campaign, who did what) of a HitsRecorded: of people who are named, and whom no machine is taken to have acted for."""
    said = sending.HitsRecorded.FromString(value)
    people: list[tuple[Kind, bytes]] = [
        (kind_from_wire(hit.kind), hit.address_key) for hit in said.hits if hit.address_key and not hit.machine
    ]
    return said.tenant_id, said.campaign_id, people


def hits_record(campaign: Campaign, hits: Sequence[Hit], partitions: int) -> Record:
    said = sending.HitsRecorded(tenant_id=campaign.tenant_id, campaign_id=campaign.campaign_id)
    for hit in hits:
        at = Timestamp()
        at.FromMicroseconds(hit.at_us)
        said.hits.add(kind=_KINDS[hit.kind], link=hit.link, address_key=hit.person, at=at, machine=hit.machine)
    event = new_event(
        HITS_RECORDED,
        said.SerializeToString(),
        source="sending",
        subject=campaign.campaign_id,
        sequence=0,
        tenant_id=campaign.tenant_id,
    )
    return to_record(event, TRACKING, partition_of(campaign.campaign_id, partitions))
