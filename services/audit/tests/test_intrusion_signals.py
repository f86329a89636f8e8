"""What looks like an intrusion becomes a signal: an event, a figure, and who it was; and no attacker can make many of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest
from google.protobuf.message import Message

from postlaw.audit.v1 import audit_pb2 as audit
from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.identity.v1 import identity_pb2 as identity
from postlaw.options.v1 import options_pb2
from postlaw_audit.intrusion.watching import READ_FROM, SIGNALS, Watching
from postlaw_audit.intrusion.windows import HOUR_US, Signal
from postlaw_common.bus import BusUnavailable, Topic, open_bus
from postlaw_common.caller import Actor, Caller, acting_as
from postlaw_common.events import Event, from_record, new_event, to_record
from postlaw_common.testing.promises import promise

KEY = Caller("ten_1", Actor("api_key", "key_1"), credential_id="key_1")


def event(said: Message, at_us: int = 1_000_000, network: str = "", caller: Caller | None = KEY) -> Event:
    type = said.DESCRIPTOR.GetOptions().Extensions[options_pb2.event].type
    with acting_as(caller):
        made = new_event(
            type,
            said.SerializeToString(),
            source="gateway",
            subject="x",
            sequence=0,
            tenant_id="ten_1" if caller else "",
            time_us=at_us,
        )
    return made._replace(network=network)


def seen(*events: Event) -> list[Signal]:
    watching = Watching(cast("Any", None))
    return [signal for one in events for signal in watching.seen(one)]


def refused(kind: str, **more: Any) -> audit.AccessRefused:
    return audit.AccessRefused(kind=kind, path="/v1/lists", **more)


@promise("S3")
def test_refused_credentials_are_a_signal_by_where_they_came_from_and_once_an_hour() -> None:
    here, elsewhere = "192.0.2.0/24", "198.51.100.0/24"
    tries = [event(refused("unknown_key"), at, here, None) for at in range(1, 21)]
    assert seen(*tries, event(refused("unknown_key"), 30, elsewhere, None)) == []
    again = event(refused("unknown_key"), 31, here, None)
    [signal] = seen(*tries, event(refused("revoked_key", times=500), 30, here, None), again)
    assert (signal.kind, signal.who, signal.count, signal.since_us) == ("credentials_tried", "192.0.2.0/24", 520, 1)
    many = event(refused("unknown_key", times=500), 30, here, None)
    assert len(seen(many, many, many._replace(time_us=31 + HOUR_US))) == 2
    assert seen(*[event(refused("missing_scope", credential_id="key_1"))] * 50) == []


@promise("S3")
def test_ids_of_others_are_a_signal_by_how_many_different_ones_there_were() -> None:
    same = [event(refused("foreign_id", credential_id="key_1", object_id="cmp_1"))] * 50
    assert seen(*same) == []
    [signal] = seen(*same, event(refused("foreign_id", credential_id="key_1", times=300, object_ids=[f"cmp_{n}" for n in range(20)])))
    assert (signal.kind, signal.tenant_id, signal.who, signal.count) == ("ids_tried", "ten_1", "api_key:key_1", 20)


@promise("S3")
def test_a_key_that_makes_keys_is_a_signal_and_one_that_reads_lists_is_none() -> None:
    def made(*scopes: str) -> Event:
        return event(identity.ApiKeyCreated(api_key=identity.ApiKey(api_key_id="key_2", scopes=scopes)))

    assert seen(made("lists:read", "campaigns:write")) == []
    [signal] = seen(made("keys:write", "lists:read"))
    assert (signal.kind, signal.ids) == ("privileges_changed", ("key_2", "keys:write"))


@promise("S3")
def test_many_peoples_data_within_minutes_is_a_signal_and_over_hours_is_none() -> None:
    read = audit.PersonalDataRead(operation="sending.ListRecipients", object_id="cmp_1", subscriber_ids=[f"sub_{n}" for n in range(500)])
    assert seen(*[event(read, n * HOUR_US) for n in range(1, 20)]) == []
    [signal] = seen(*[event(read, n) for n in range(1, 8)])
    assert (signal.kind, signal.who, signal.count) == ("people_exported", "api_key:key_1", 2_500)
    export = consent.SuppressionExport(suppression_export_id="sex_1", rows=9_000, taken_by="api_key:key_9")
    export.ended_at.FromSeconds(1)
    [taken] = seen(event(consent.SuppressionExportChanged(export=export)))
    assert (taken.who, taken.count) == ("api_key:key_9", 9_000)


@promise("S3")
def test_tries_around_the_end_of_a_window_are_counted_together() -> None:
    minute, here = 60_000_000, "192.0.2.0/24"
    early, late = event(refused("unknown_key"), 1, here, None), event(refused("unknown_key", times=19), 4 * minute + 59_000_000, here, None)
    after = event(refused("unknown_key", times=20), 5 * minute + 1_000_000, here, None)
    [signal] = seen(early, late, after)
    assert signal.count >= 39
    ids = [event(refused("foreign_id", object_ids=[f"cmp_{at}_{n}" for n in range(6)]), at * minute) for at in (0, 9, 11)]
    [signal] = seen(*ids)
    assert signal.count >= 11
    assert seen(*[event(refused("unknown_key", times=20), n * 6 * minute, here, None) for n in range(1, 9)]) == []


@promise("S3")
def test_a_clock_that_ran_ahead_silences_nobody_once_it_is_right_again() -> None:
    day, here = 24 * HOUR_US, "192.0.2.0/24"
    tries = [event(refused("unknown_key", times=21), at, here, None) for at in (400 * day, day, day + 1)]
    assert [signal.since_us for signal in seen(*tries)] == [400 * day, day]
    few = [event(refused("unknown_key", times=2), at, here, None) for at in (400 * day, *range(day, 12 * day, day))]
    assert seen(*few) == []


@promise("S3")
async def test_a_signal_that_the_bus_did_not_take_is_told_when_it_does_and_nothing_is_counted_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = open_bus("embedded:", state=str(tmp_path), partitions=2)
    await bus.start()
    await bus.ensure_topics([SIGNALS, *map(Topic, READ_FROM)])
    many, few = event(refused("bad_token", times=50), 7, "192.0.2.0/24", None), event(refused("bad_token", times=15), 7, "", None)
    await bus.publish([to_record(one, READ_FROM[0], 1) for one in (many, few)])
    batch, handler = await bus.read_range(READ_FROM[0], 1, 0, 2), Watching(bus).consumer().handler
    with monkeypatch.context() as patch:
        patch.setattr(bus, "publish", AsyncMock(side_effect=BusUnavailable("away")))
        for _ in range(3):
            with pytest.raises(BusUnavailable):
                await handler(batch)
    await handler(batch)
    [record] = [one for p in range(2) for one in await bus.read_range(SIGNALS.name, p, 0, 9)]
    said = audit.IntrusionSignalled.FromString(from_record(record).data)
    assert (said.who, said.count) == ("192.0.2.0/24", 50)
    await bus.close()


@promise("S3", "A1")
async def test_a_signal_is_an_event_for_detectors_and_for_the_log(tmp_path: Path) -> None:
    bus = open_bus("embedded:", state=str(tmp_path), partitions=2)
    await bus.start()
    await bus.ensure_topics([SIGNALS, *map(Topic, READ_FROM)])
    tried = event(refused("bad_token", times=50), 7, "", None)
    await bus.publish([to_record(tried, READ_FROM[0], 1)])
    await Watching(bus).consumer().handler(await bus.read_range(READ_FROM[0], 1, 0, 1))
    [record] = [one for p in range(2) for one in await bus.read_range(SIGNALS.name, p, 0, 9)]
    told = from_record(record)
    said = audit.IntrusionSignalled.FromString(told.data)
    assert (told.type, told.source) == ("postlaw.security.IntrusionSignalled", "security")
    assert (said.kind, said.who, said.count) == ("credentials_tried", "unknown", 50)
    await bus.close()
