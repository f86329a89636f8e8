"""Hand-offs held against a relay's log and against what came back: a message that only one side knows is named."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Record, Topic, open_bus
from postlaw_common.store import open_store
from postlaw_common.testing.promises import promise
from postlaw_sending.campaigns.domain.recipients import State
from postlaw_sending.campaigns.outcomes import BATCHES
from postlaw_sending.handoffs.exim_log import said_by_exim
from postlaw_sending.handoffs.postfix_log import said_by_postfix
from postlaw_sending.handoffs.reconciling import HandOffs, Seen, spool_relay_log
from postlaw_sending.handoffs.relay_log import Accepted, Status
from postlaw_sending.messages.return_path import PERSON
from postlaw_sending.returns.wire import RETURNS
from postlaw_sending.singles.domain import Handed
from services.sending.tests.messages.compiled import RETURN_PATHS

CAMPAIGN = "0" * 26
NOW = datetime(2026, 11, 26, 20, tzinfo=UTC)
NOON_US = int(datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp() * 1e6)


def key(number: int) -> bytes:
    return bytes([1, number]) + b"k" * 31


def path_of(number: int) -> str:
    return RETURN_PATHS.of(CAMPAIGN.encode(), key(number), b"shop.example").decode()


def taken(number: int, queue_id: str, minute: int = 0) -> str:
    return f"Nov 26 12:{minute:02}:00 mx postfix/qmgr[71]: {queue_id}: from=<{path_of(number)}>, size=2310, nrcpt=1 (queue active)\n"


def test_a_line_is_read_in_both_of_syslogs_ways_and_every_other_line_is_nothing() -> None:
    assert said_by_postfix(taken(1, "4F1A2B3C").encode().strip(), NOW) == Accepted("4F1A2B3C", path_of(1), NOON_US)
    line = b"2026-11-26T13:00:00.000000+01:00 mx postfix-out/smtp[9]: 4XyZ12AbCdz1F: to=<a@b.example>, dsn=2.0.0, status=sent (250 Ok)"
    assert said_by_postfix(line, NOW) == Status("4XyZ12AbCdz1F", "sent")
    iso = b"2026-11-26T13:00:00.000000+01:00 mx postfix/qmgr[71]: 4XyZ12AbCdz1F: from=<a@b.example>, size=1, nrcpt=1 (queue active)"
    assert said_by_postfix(iso, NOW) == Accepted("4XyZ12AbCdz1F", "a@b.example", NOON_US)
    for other in (b"", b"\xff" * 300, b"Nov 26 12:00:00 mx postfix/qmgr[71]: 4F1A2B3C: removed", b"Nov 26 12:00:00 mx sshd[1]: from=<x>"):
        assert said_by_postfix(other, NOW) is None
    assert said_by_postfix(b"Feb 30 12:00:00 mx postfix/qmgr[71]: 4F1A2B3C: from=<a@b.example>", NOW) == Accepted(
        "4F1A2B3C", "a@b.example", 0
    )


EXIM = "2026-11-26 12:00:00 1rZ2Xy-00000003aBC-0DEf"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{EXIM} <= {path_of(1)} H=app (app) [10.0.0.7] P=esmtp S=2310 id=x@y", Accepted("1rZ2Xy-00000003aBC-0DEf", path_of(1), NOON_US)),
        ("2026-11-26 13:00:00.2 +0100 [7] 1rZ2Xy-0003aB-Cd <= a@b.example", Accepted("1rZ2Xy-0003aB-Cd", "a@b.example", NOON_US + 200_000)),
        (f"Nov 26 12:00:00 mx exim[71]: {EXIM} <= a@b.example", Accepted("1rZ2Xy-00000003aBC-0DEf", "a@b.example", NOON_US)),
        (EXIM.replace("11-26", "02-30") + " <= a@b.example H=x", Accepted("1rZ2Xy-00000003aBC-0DEf", "a@b.example", 0)),
        (f'{EXIM} => j@b.example R=dnslookup T=remote_smtp C="250 OK"', Status("1rZ2Xy-00000003aBC-0DEf", "sent")),
        (f"{EXIM} ** j@b.example R=dnslookup T=remote_smtp: 550 no", Status("1rZ2Xy-00000003aBC-0DEf", "bounced")),
        (f"{EXIM} == j@b.example R=dnslookup T=remote_smtp defer (-44)", Status("1rZ2Xy-00000003aBC-0DEf", "deferred")),
        (f"{EXIM} Completed", None),
        ("2026-11-26 12:00:00 Start queue run: pid=71", None),
        ("\x00" * 300, None),
    ],
)  # fmt: skip
def test_a_line_of_exims_is_read_with_short_and_long_ids_and_with_and_without_a_zone(line: str, said: Accepted | Status | None) -> None:
    assert said_by_exim(line.encode()) == said


def single(number: int) -> str:
    return f"sgl_{str(number) * 26}"


def single_path(number: int) -> str:
    return RETURN_PATHS.of_single(single(number).removeprefix("sgl_").encode(), key(number), b"shop.example").decode()


SINGLES = [
    Handed("ten_1", single(1), "msg_1", key(1), State.SENT, NOON_US + 60_000_000),
    Handed("ten_1", single(2), "msg_2", key(2), State.SENT, NOON_US + 120_000_000),
    Handed("ten_1", single(3), "msg_3", key(3), State.REFUSED, 0),
    Handed("ten_1", single(4), "msg_4", key(4), None, 0),
    Handed("ten_1", single(5), "msg_5", key(5), State.SENT, 0),
]
"""1 and 2 were sent, 3 was refused by our gate, 4 is under way, and of 5 it was not noted when."""


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncGenerator[HandOffs]:
    """Persons 1 to 4 were sent to at noon, by the minute; 5 was refused by our gate."""
    bus = open_bus("embedded:", state=str(tmp_path), partitions=2)
    await bus.start()
    await bus.ensure_topics([Topic(RETURNS)])
    store = open_store("sqlite:", "sending", state=str(tmp_path))
    await store.start([BATCHES])
    said = sending.BatchSettled(
        tenant_id="ten_1", campaign_id=f"cmp_{CAMPAIGN}", partition=1, address_keys=map(key, range(1, 6)),
        states=bytes([State.SENT] * 4 + [State.REFUSED]), started_at_us=NOON_US,
        handed_over_after_us=[60_000_000 * number for number in range(1, 5)] + [0],
    )  # fmt: skip
    batches = store.collection(BATCHES.name)
    await batches.insert({"_id": "b", "campaign_id": said.campaign_id, "offset": 0, "event": said.SerializeToString()})
    back = sending.MessageReturned(
        tenant_id="ten_1", campaign_id=said.campaign_id, address_key=key(5), kind=sending.MessageReturned.KIND_BOUNCE
    )
    fine = sending.MessageReturned(
        tenant_id="ten_1", campaign_id=said.campaign_id, address_key=key(1), kind=sending.MessageReturned.KIND_COMPLAINT
    )
    await bus.publish([Record(RETURNS, 1, one.SerializeToString()) for one in (fine, back)])

    async def singles() -> AsyncGenerator[list[Handed]]:
        yield SINGLES

    yield HandOffs(lambda: batches, singles, bus, lambda: 1 << 60)
    await store.close()
    await bus.close()


async def against(parts: HandOffs, log: str) -> list[tuple[str, str, str]]:
    async def pieces() -> AsyncGenerator[bytes]:
        for start in range(0, len(log), 37):  # as it comes
            yield log[start : start + 37].encode()

    with closing(Seen()) as seen:
        assert await spool_relay_log(seen, pieces(), RETURN_PATHS.read, int(NOW.timestamp() * 1e6))
        steps = [step async for step in parts.against_relay_log(seen).look("")]
    return [(one.what, one.ids[1], one.ids[2]) for step in steps for one in step.differences]


EDGES = taken(9, "EDGE1", 0), taken(9, "EDGE1", 59)
"""Of when the log tells; person 9 nobody knows."""


@promise("S8")
async def test_what_the_relay_took_and_what_we_handed_over_are_the_same_or_named(parts: HandOffs) -> None:
    both = "".join(taken(number, f"S{number}AAAAA", number).replace(path_of(number), single_path(number)) for number in (1, 2))
    whole = [EDGES[0], *(taken(number, f"{number}AAAAA", number) for number in range(1, 5)), both, EDGES[1]]
    edge = ("the relay took a message that no outcome says went out", key(9)[:PERSON].hex(), "EDGE1")
    assert await against(parts, "".join(whole)) == [edge]
    lacking = [line for line in whole if "3AAAAA" not in line]
    assert await against(parts, "".join(lacking)) == [
        ("a message handed over of which the relay's log knows nothing", key(3)[:PERSON].hex(), "b"), edge,
    ]  # fmt: skip
    refused = "Nov 26 12:09:01 mx postfix/smtp[80]: 5BBBBB: to=<x@y.example>, relay=z, dsn=5.1.1, status=bounced (550 no)\n"
    assert await against(parts, "".join([*whole, taken(5, "5BBBBB", 9), refused])) == [
        ("the relay took a message that no outcome says went out", key(5)[:PERSON].hex(), "5BBBBB bounced"), edge,
    ]  # fmt: skip
    assert await against(parts, "".join([*whole, taken(2, "2CCCCC", 9)])) == [
        edge, ("the relay took a message twice", key(2)[:PERSON].hex(), "2CCCCC"),
    ]  # fmt: skip


@promise("S8")
async def test_single_messages_are_held_against_the_relays_log_too_whoever_wrote_it(parts: HandOffs) -> None:
    def took(number: int, minute: int) -> str:
        return f"2026-11-26 12:{minute:02}:00 1rZ2Xy-0003aB-0{number} <= {single_path(number)} H=app P=esmtp S=2310\n"

    campaign = [taken(number, f"{number}AAAAA", number) for number in range(1, 5)]
    edges = [EDGES[0], *campaign], EDGES[1]
    edge = ("the relay took a message that no outcome says went out", key(9)[:PERSON].hex(), "EDGE1")
    whole = [*edges[0], took(1, 1), took(2, 2), took(4, 3), edges[1]]
    assert await against(parts, "".join(whole)) == [edge]
    assert await against(parts, "".join(line for line in whole if line != took(2, 2))) == [
        ("a message handed over of which the relay's log knows nothing", key(2)[:PERSON].hex(), "msg_2"), edge,
    ]  # fmt: skip
    assert sorted(await against(parts, "".join([*whole, took(3, 4)]))) == sorted(
        [("the relay took a message that no outcome says went out", key(3)[:PERSON].hex(), "1rZ2Xy-0003aB-03"), edge]
    )


@promise("S8")
async def test_what_came_back_of_nothing_that_went_out_is_named(parts: HandOffs) -> None:
    found = [one async for step in parts.against_returns().look("") for one in step.differences]
    assert [(one.what, one.ids[1]) for one in found] == [
        ("something came back of a message that no outcome says went out", key(5)[:PERSON].hex())
    ]


@promise("S8")
async def test_a_return_path_that_somebody_made_up_is_nobodys(parts: HandOffs) -> None:
    made_up = path_of(7)[:-20] + "0" * 8 + path_of(7)[-12:]
    with closing(Seen()) as seen:

        async def pieces() -> AsyncGenerator[bytes]:
            yield taken(7, "7AAAAA").replace(path_of(7), made_up).encode()

        assert await spool_relay_log(seen, pieces(), RETURN_PATHS.read, 0) == 0
