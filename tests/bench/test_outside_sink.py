"""The sink that benchmarks and fault tests hold our own word against."""

from __future__ import annotations

import asyncio
import time

import pytest

from bench.sinks import Sink, sink
from postlaw_sending.delivery import CannotConnect, Relay, Reply, connect


async def send(to: Sink, people: list[bytes]) -> dict[bytes, Reply]:
    """To everyone once, over new connections when one ends."""
    replies: dict[bytes, Reply] = {}
    relay = Relay(to.host, to.port, tls="none")
    connection = await connect(relay)
    for who in people:
        if not await connection.room():
            connection = await connect(relay)
        connection.hand_off(b"a@example.org", who, b"Subject: hi\r\n\r\n", lambda reply, who=who: replies.update({who: reply}))
    await connection.close()
    return replies


PEOPLE = [b"p%d@example.com" % number for number in range(200)]


async def test_it_remembers_who_was_mailed_and_when() -> None:
    before = time.time_ns()
    with sink() as outside:
        replies = await send(outside, PEOPLE)
        records = outside.records()
        assert outside.counts()["messages"] == len(PEOPLE)
        assert outside.get("/sample") == "Subject: hi\r\n\r\n"
        outside.reset()
        assert outside.records() == []
    assert sorted(who.encode() for _, _, who, _ in records) == sorted(PEOPLE)
    for begin, end, who, size in records:
        assert before < begin <= end <= replies[who.encode()].at_us * 1000 + 1000
        assert size == 15


async def test_a_slow_receiver_holds_each_final_reply() -> None:
    with sink("--delay", "0.1") as outside:  # a timer may be a few milliseconds early
        await send(outside, PEOPLE[:3])
        assert all(end - begin >= 90_000_000 for begin, end, _, _ in outside.records())


async def test_a_receiver_that_drops_has_taken_what_it_did_not_acknowledge() -> None:
    """The worst case for a sender: the message is delivered, the reply is lost."""
    with sink("--drop-after", "5") as outside:
        replies = await send(outside, PEOPLE[:5])
        taken = {who.encode() for _, _, who, _ in outside.records()}
        assert [replies[who].kind for who in PEOPLE[:5]] == [*["accepted"] * 4, "dropped"]
        assert taken == set(PEOPLE[:5])
        assert outside.counts()["dropped"] == 1


async def test_some_are_put_off_once_and_some_refused_for_good() -> None:
    with sink("--defer-share", "0.2", "--reject-share", "0.1") as outside:
        first = await send(outside, PEOPLE)
        again = await send(outside, [who for who in PEOPLE if first[who].kind == "deferred"])
        kinds = [reply.kind for reply in first.values()]
        assert 10 < kinds.count("deferred") < 80 and 5 < kinds.count("rejected") < 50
        assert {reply.kind for reply in again.values()} == {"accepted"}
        assert outside.counts()["messages"] == len(PEOPLE) - kinds.count("rejected")


async def test_it_is_gone_with_its_block() -> None:
    with sink("--delay", "0") as outside:
        pass
    with pytest.raises(CannotConnect):
        await asyncio.wait_for(connect(Relay(outside.host, outside.port, tls="none")), 5)
