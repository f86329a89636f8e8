"""Analytics as protobuf: what an event says, and what is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Received
from postlaw_common.csv_lines import csv_lines, defused
from postlaw_common.events import from_record
from postlaw_sending.analytics.counting import Cells, of_batch, of_one
from postlaw_sending.analytics.figures import Counted
from postlaw_sending.campaigns.wire import OUTCOMES, micros, settled
from postlaw_sending.returns.wire import RETURNS
from postlaw_sending.stop.wire import CONSENT_EVENTS
from postlaw_sending.tracking.wire import TRACKING

TOPICS: Final = (OUTCOMES, RETURNS, CONSENT_EVENTS, TRACKING)
_CAMPAIGN: Final = "cmp_"
_BY_A_PERSON: Final = b"person:"  # an actor's kind
_RECORDED: Final = frozenset({consent.ConsentEvent.KIND_GIVEN, consent.ConsentEvent.KIND_IMPLIED})
_ERASED: Final = bytes([consent.ConsentEvent.KIND_FIELD_NUMBER << 3, consent.ConsentEvent.KIND_ERASED])  # as its kind stands in the bytes
FIGURES: Final = tuple(field.name for field in sending.Figures.DESCRIPTOR.fields)
By = sending.GetAnalyticsRequest.By.ValueType
BY = sending.GetAnalyticsRequest


def tells(record: Received) -> bool:
    """False of a consent that a customer recorded of somebody: nothing here asks for it, and of an import's events all are such."""
    if record.topic != CONSENT_EVENTS or record.headers.get("ce_actor", b"").startswith(_BY_A_PERSON):
        return True
    try:
        return consent.ConsentEvent.FromString(record.value).kind not in _RECORDED
    except DecodeError:
        return True


def counted(record: Received) -> Counted | None:
    """None for what is no campaign's. ValueError for what cannot be read."""
    found = _READ[record.topic](record.value)
    if found is None or not found[1].startswith(_CAMPAIGN):
        return None
    tenant_id, campaign_id, cells = found
    return Counted(tenant_id, campaign_id, record.topic, record.partition, record.offset, from_record(record).id, cells)


_Found = tuple[str, str, Cells] | None


def _batch(value: bytes) -> _Found:
    batch = settled(value)
    said = sending.BatchSettled.FromString(value).destinations
    return batch.tenant_id, batch.campaign_id, of_batch(batch, [(one.destination, one.state, one.recipients) for one in said])


def _returned(value: bytes) -> _Found:
    """Of campaigns; whom the next server itself refused, the settled batch counts."""
    event = sending.MessageReturned.FromString(value)
    if event.refused or not event.campaign_id.startswith(_CAMPAIGN):
        return None
    figure = {
        (sending.MessageReturned.KIND_BOUNCE, sending.MessageReturned.CLASS_HARD): "returned_hard",
        (sending.MessageReturned.KIND_BOUNCE, sending.MessageReturned.CLASS_SOFT): "returned_soft",
        (sending.MessageReturned.KIND_COMPLAINT, event.outcome): "complained",
    }.get((event.kind, event.outcome))
    return (event.tenant_id, event.campaign_id, of_one(figure, micros(event.received_at))) if figure else None


def _withdrawn(value: bytes) -> _Found:
    if _CAMPAIGN.encode() not in value:  # most events are an import's: they are not worth their parsing
        return None
    event = consent.ConsentEvent.FromString(value)
    if event.kind != consent.ConsentEvent.KIND_WITHDRAWN:
        return None
    return event.tenant_id, event.campaign_id, of_one("unsubscribed", micros(event.recorded_at))


def _hits(value: bytes) -> _Found:
    event = sending.HitsRecorded.FromString(value)
    cells: Cells = Cells()
    for hit in event.hits:
        click = hit.kind == sending.Hit.KIND_CLICK
        figure = ("machine_" if hit.machine else "") + ("clicks" if click else "opens")
        cells.update(of_one(figure, micros(hit.at), hit.link if click else None))
    return event.tenant_id, event.campaign_id, cells


_READ: Final[Mapping[str, Callable[[bytes], _Found]]] = {
    OUTCOMES: _batch,
    RETURNS: _returned,
    CONSENT_EVENTS: _withdrawn,
    TRACKING: _hits,
}


def people_of(record: Received) -> Iterable[tuple[str, str, bytes]]:
    """(campaign, open or click, address key) of people who did it, from a record of TRACKING."""
    event = sending.HitsRecorded.FromString(record.value)
    for hit in event.hits:
        if hit.address_key and not hit.machine:
            yield event.campaign_id, "click" if hit.kind == sending.Hit.KIND_CLICK else "open", hit.address_key


def erased(record: Received) -> bytes:
    """Whose erasure a record of CONSENT_EVENTS tells of; b"" for none."""
    if _ERASED not in record.value:
        return b""
    event = consent.ConsentEvent.FromString(record.value)
    return event.address_key if event.kind == consent.ConsentEvent.KIND_ERASED else b""


def figures(cells: Cells, dimension: str = "t", key: str = "", *, opened: int = 0, clicked: int = 0) -> sending.Figures:
    found = sending.Figures(people_opened=opened, people_clicked=clicked)
    for name in FIGURES:
        if number := cells[f"{dimension}|{key}|{name}"]:
            setattr(found, name, number)
    found.delivered = max(0, found.sent - found.returned_hard)
    return found


def keys_of(cells: Cells, dimension: str) -> list[str]:
    return sorted({cell.split("|")[1] for cell in cells if cell.startswith(f"{dimension}|")})


def campaign_analytics(campaign_id: str, links: tuple[str, ...], cells: Cells, opened: int, clicked: int) -> sending.CampaignAnalytics:
    said = sending.CampaignAnalytics(campaign_id=campaign_id, totals=figures(cells, opened=opened, clicked=clicked))
    for reason in keys_of(cells, "r"):
        said.refused_by_reason[reason] = cells[f"r|{reason}|refused"]
    for hour in keys_of(cells, "h"):
        said.hours.add(hour=Timestamp(seconds=int(hour)), figures=figures(cells, "h", hour))
    for destination in keys_of(cells, "d"):
        said.destinations.add(destination=destination, figures=figures(cells, "d", destination))
    for number, target in enumerate(links):
        said.links.add(target=target, figures=figures(cells, "l", str(number)))
    return said


def rows(by_key: Mapping[str, sending.Figures]) -> sending.Analytics:
    said = sending.Analytics()
    for key, found in sorted(by_key.items()):
        said.rows.add(key=key, figures=found)
    return said


def hour_text(seconds: str) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()


def as_csv(analytics: sending.Analytics) -> bytes:
    """RFC 4180, with a line of names first."""
    lines = ([defused(row.key), *(getattr(row.figures, name) for name in FIGURES)] for row in analytics.rows)
    return csv_lines([["key", *FIGURES], *lines])
