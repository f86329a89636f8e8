"""From events to signals (promise S3): refused credentials, ids of others, changed privileges, and people's data taken in bulk.

Each signal is an event of its own, once an hour about the same caller, and a figure that alerts look at. Nobody is stopped by it: that is
for whoever decides about abuse. Counted in each process for itself, over what it reads of the topics, and anew after a restart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.identity.v1 import identity_pb2 as identity
from postlaw_audit.intrusion.windows import Limit, Signal, Windows
from postlaw_common.bus import Bus, Received, Topic
from postlaw_common.consumers import Consumer
from postlaw_common.events import Event, from_record, new_event, partition_of, to_record
from postlaw_common.telemetry import get_logger, meter

SIGNALS: Final = Topic("postlaw.security.signals.v1")
READ_FROM: Final = ("postlaw.gateway.security.v1", "postlaw.gateway.access.v1", "postlaw.identity.events.v1", "postlaw.consent.exports.v1")
_TYPE: Final = "postlaw.security.IntrusionSignalled"

_MINUTE_US: Final = 60_000_000
CREDENTIALS: Final = Limit("credentials_tried", 20, 5 * _MINUTE_US, "keys or links that are none were tried again and again")
IDS: Final = Limit("ids_tried", 10, 10 * _MINUTE_US, "ids that are not the caller's were tried", distinct=True)
PRIVILEGES: Final = Limit("privileges_changed", 0, 1, "a key was given scopes that open people's data, or other keys")
EXPORTS: Final = Limit("people_exported", 2_000, 10 * _MINUTE_US, "many people's data was taken in a short time")

MIGHTY: Final = frozenset({"keys:write", "suppressions:export", "suppressions:approve", "templates:approve"})
OF_MANY: Final = 500
"""What a read of a whole campaign, import or export counts for: how many people it shows is not known to the event."""

_log = get_logger("audit.intrusion")
_signalled = meter("postlaw.security").create_counter(
    "postlaw.security.signals", unit="{signal}", description="Signs of an intrusion, by kind"
)


class Watching:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._windows = Windows()
        self._counted: dict[tuple[str, int], int] = {}  # by topic and partition the offset behind what is: a batch may come again
        self._untold: list[Signal] = []

    def consumer(self) -> Consumer:
        for kind in (CREDENTIALS, IDS, PRIVILEGES, EXPORTS):
            _signalled.add(0, {"kind": kind.kind})

        async def apply(records: list[Received]) -> None:
            for record in records:
                place = record.topic, record.partition
                if record.offset >= self._counted.get(place, 0):
                    self._untold += self.seen(from_record(record))
                    self._counted[place] = record.offset + 1
            if self._untold:
                told = [_event(signal) for signal in self._untold]
                await self._bus.publish([to_record(one, SIGNALS.name, partition_of(one.subject, self._bus.partitions)) for one in told])
            signals, self._untold = self._untold, []
            for signal in signals:
                _signalled.add(1, {"kind": signal.kind})
                _log.warning(
                    "this looks like an intrusion", kind=signal.kind, who=signal.who, tenant_id=signal.tenant_id, count=signal.count
                )

        return Consumer(group="audit-intrusion", topics=READ_FROM, handler=apply)

    def seen(self, event: Event) -> Iterator[Signal]:
        """The signals that it completes."""
        found: Signal | None = None
        match event.type:
            case "postlaw.gateway.AccessRefused":
                found = self._refused(event, audit.AccessRefused.FromString(event.data))
            case "postlaw.gateway.PersonalDataRead":
                said = audit.PersonalDataRead.FromString(event.data)
                people = len(said.address_keys) + len(said.subscriber_ids) or (OF_MANY if said.object_id else 1)
                found = self._windows.add(EXPORTS, event.tenant_id, event.actor, people, [said.operation], event.time_us)
            case "postlaw.consent.SuppressionExportChanged":
                export = consent.SuppressionExportChanged.FromString(event.data).export
                if export.HasField("ended_at"):
                    ids, who = [export.suppression_export_id], export.taken_by or event.actor
                    found = self._windows.add(EXPORTS, event.tenant_id, who, max(export.rows, 1), ids, event.time_us)
            case "postlaw.identity.ApiKeyCreated":
                key = identity.ApiKeyCreated.FromString(event.data).api_key
                if mighty := sorted(MIGHTY & set(key.scopes)):
                    ids = [key.api_key_id, *mighty]
                    found = self._windows.add(PRIVILEGES, event.tenant_id, f"{event.actor} {key.api_key_id}", 1, ids, event.time_us)
            case _:
                pass
        if found is not None:
            yield found

    def _refused(self, event: Event, said: audit.AccessRefused) -> Signal | None:
        who, times = event.network or (event.actor if said.credential_id else "unknown"), max(1, said.times)
        if said.kind == "foreign_id":
            ids = [*([said.object_id] if said.object_id else []), *said.object_ids]
            return self._windows.add(IDS, event.tenant_id, event.actor, times, ids, event.time_us)
        if said.kind == "missing_scope":
            return None  # somebody's own key, used for what it is not for
        return self._windows.add(CREDENTIALS, event.tenant_id, who, times, [said.kind, said.path], event.time_us)


def _event(signal: Signal) -> Event:
    said = audit.IntrusionSignalled(
        kind=signal.kind, tenant_id=signal.tenant_id, who=signal.who, count=signal.count, ids=signal.ids, what=signal.what
    )
    said.since.FromMicroseconds(signal.since_us)
    subject = f"{signal.kind} {signal.who}"
    return new_event(_TYPE, said.SerializeToString(), source="security", subject=subject, sequence=0, tenant_id=signal.tenant_id)
