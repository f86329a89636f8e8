"""Mail that goes straight to the recipients' servers: each found by the DNS, and none that holds up another.

Past 300 lines by a few: each test is one thing that a receiver does, and they are read as one list.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from postlaw_common.testing.promises import promise
from postlaw_sending.campaigns.domain.recipients import BUSY_S, waiting
from postlaw_sending.campaigns.wire import settled as settled_of
from postlaw_sending.stop.holding import BOUNCED, DEFERRED, SENT, UNKNOWN
from postlaw_sending.testing.certificates import certificate_of
from postlaw_sending.testing.smtp_peer import Peer
from postlaw_sending.worker import destinations
from services.sending.tests.worker.mill import Mill, running, until
from services.sending.tests.worker.world import MailWorld, mail_world


@pytest.fixture
async def world(mill: Mill) -> AsyncGenerator[MailWorld]:
    async with mail_world() as world:
        world.store = mill.store
        yield world


async def test_everyone_is_mailed_at_their_own_domains_server(mill: Mill, world: MailWorld) -> None:
    await world.server("127.0.0.2")
    await world.server("127.0.0.3")
    world.domain("a.example", "127.0.0.2")
    world.domain("b.example", "127.0.0.3")
    mill.domains = {i: "a.example" if i % 2 else "b.example" for i in range(60)}
    await mill.send_to(range(60))
    async with running(mill.worker(straight=world.straight())):
        [settled] = await mill.outcomes(1)
    assert list(settled.states) == [SENT] * 60
    assert sorted(world.taken) == sorted(("127.0.0.2" if i % 2 else "127.0.0.3", f"user{i}@{mill.domains[i]}") for i in range(60))


async def test_a_domain_that_takes_no_mail_is_bounced_at_once(mill: Mill, world: MailWorld) -> None:
    """RFC 7505 §3: null MX; RFC 5321 §5.1: a domain with neither MX nor address."""
    await world.server("127.0.0.2")
    world.domain("good.example", "127.0.0.2")
    world.dns.put("null.example", "MX", "0 .")
    mill.domains = {0: "good.example", 1: "null.example", 2: "nowhere.example"}
    await mill.send_to(range(3))
    async with running(mill.worker(straight=world.straight())):
        [settled] = await mill.outcomes(1)
    assert list(settled.states) == [SENT, BOUNCED, BOUNCED]
    assert [settled.reason_texts[place - 1][:10] for place in settled.reasons[1:]] == ["556 5.1.10", "550 5.1.2 "]


async def test_the_next_server_is_tried_where_the_preferred_one_is_away(mill: Mill, world: MailWorld) -> None:
    """RFC 5321 §5.1."""
    await world.server("127.0.0.3")
    world.domain("a.example", "127.0.0.2", "127.0.0.3")
    mill.domains = {0: "a.example"}
    await mill.send_to(range(1))
    async with running(mill.worker(straight=world.straight())):
        [settled] = await mill.outcomes(1)
    assert list(settled.states) == [SENT]
    assert world.taken == [("127.0.0.3", "user0@a.example")]


@promise("S2", "X1")
async def test_how_each_message_was_carried_stands_in_its_outcome(mill: Mill, world: MailWorld, tmp_path: Path) -> None:
    context, _ = certificate_of(tmp_path, "mx0.tls.example")
    await world.server("127.0.0.2")
    await world.server("127.0.0.3", world.taking_under_tls("127.0.0.3", context))
    world.domain("plain.example", "127.0.0.2")
    world.domain("tls.example", "127.0.0.3")
    world.dns.put("null.example", "MX", "0 .")
    mill.domains = {0: "plain.example", 1: "tls.example", 2: "null.example"}
    await mill.send_to(range(3))
    async with running(mill.worker(straight=world.straight())):
        [settled] = await mill.outcomes(1)
    assert list(settled.transports) == [1, 3, 0]


@promise("X1")
async def test_nothing_leaves_in_plaintext_where_the_policy_says_encrypted(mill: Mill, world: MailWorld) -> None:
    await world.server("127.0.0.2")
    world.domain("plain.example", "127.0.0.2")
    mill.domains = {0: "plain.example"}
    await mill.send_to(range(1))
    async with running(mill.worker(straight=world.straight(tls="encrypted"))):
        [settled] = await mill.outcomes(1)
    assert (list(settled.states), world.taken) == ([DEFERRED], [])


@promise("X1")
@pytest.mark.parametrize(("mx", "sent"), [("mx0.a.example", True), ("*.a.example", True), ("mx1.a.example", False)])
async def test_where_a_domain_enforces_mta_sts_its_mail_goes_to_verified_servers_that_it_names(
    mill: Mill, world: MailWorld, tmp_path: Path, mx: str, sent: bool
) -> None:
    """RFC 8461 §4.1, §4.2, §5: both servers are the domain's, the preferred one has the certificate of another name."""
    context, world.ca = certificate_of(tmp_path, "mta-sts.a.example", "mx0.a.example")
    await world.policy(context, f"version: STSv1\nmode: enforce\nmx: {mx}\nmax_age: 86400\n")
    for address in ("127.0.0.2", "127.0.0.3"):
        await world.server(address, world.taking_under_tls(address, context))
    world.domain("a.example", "127.0.0.2", "127.0.0.3")
    world.dns.put("a.example", "MX", "20 mx0.a.example.", "10 mx1.a.example.")
    world.dns.put("_mta-sts.a.example", "TXT", '"v=STSv1; id=1;"')
    world.dns.put("mta-sts.a.example", "A", "127.0.0.1")
    mill.domains = {0: "a.example"}
    await mill.send_to(range(1))
    async with running(mill.worker(straight=world.straight())):
        [settled] = await mill.outcomes(1)
    assert world.asked == ["mta-sts.a.example"]
    assert (list(settled.states), list(settled.transports)) == (([SENT], [3 | 16]) if sent else ([DEFERRED], [0]))
    assert world.taken == ([("127.0.0.2", "user0@a.example")] if sent else [])


async def test_a_poisoned_message_harms_only_itself(mill: Mill, world: MailWorld) -> None:
    """A server that hangs up on one message, whenever it comes, has every other one."""

    async def hang_up_on_it(peer: Peer) -> None:
        await peer.hello("FULL")
        while True:
            rcpt, _, first = await peer.whole()
            if b"user7@" in rcpt:
                return
            world.taken.append(("127.0.0.2", rcpt.decode()))
            peer.say(*(["250 ok"] * (4 if first == b"RSET" else 3)))

    await world.server("127.0.0.2", hang_up_on_it)
    world.domain("a.example", "127.0.0.2")
    mill.domains = dict.fromkeys(range(20), "a.example")
    await mill.send_to(range(20))
    async with running(mill.worker(straight=world.straight())):
        [settled] = await mill.outcomes(1)
    assert [settled.states[i] for i in range(20)] == [UNKNOWN if i == 7 else SENT for i in range(20)]
    assert len(world.taken) == 19


async def test_a_server_that_takes_the_first_recipient_only_costs_the_others_an_attempt(mill: Mill, world: MailWorld) -> None:
    """RFC 5321 §4.5.3.1.10: 452, too many recipients. Each has a transaction of their own, and is put off alone."""

    async def take_one(peer: Peer) -> None:
        await peer.hello("FULL")
        await peer.whole()
        peer.say("250 ok", "250 ok", "250 ok")
        while True:
            _, _, first = await peer.whole()
            peer.say(*(["250 ok"] * (2 if first == b"RSET" else 1)), "452 4.5.3 too many recipients", "503 no recipients")

    await world.server("127.0.0.2", take_one)
    world.domain("example.com", "127.0.0.2")
    await mill.send_to(range(4))
    async with running(mill.worker(straight=world.straight())):
        [settled] = await mill.outcomes(1)
    assert list(settled.states) == [SENT, DEFERRED, DEFERRED, DEFERRED]
    assert list(settled.reason_texts) == ["452 4.5.3 too many recipients"]


async def test_a_receiver_that_asks_for_less_is_left_alone(mill: Mill, world: MailWorld) -> None:
    """RFC 5321 §3.8, §4.5.4.1: what it has not taken waits for another attempt, and no further connection is made to it."""

    async def take_ten(peer: Peer) -> None:
        await peer.hello("FULL")
        for _ in range(5):
            rcpt, _, _ = await peer.whole()
            world.taken.append(("127.0.0.2", rcpt.decode()))
            peer.say("250 ok", "250 ok", "250 ok")
        await peer.whole()
        peer.say("421 4.7.0 too many messages from your address")

    await world.server("127.0.0.2", take_ten)
    world.domain("a.example", "127.0.0.2")
    mill.domains = dict.fromkeys(range(100), "a.example")
    await mill.send_to(range(100))
    async with running(mill.worker(straight=world.straight())):
        [settled] = await mill.outcomes(1)
        await mill.send_to(range(100))
        await mill.outcomes(2)
    assert settled.states.count(SENT) == len(world.taken)
    assert settled.states.count(SENT) + settled.states.count(DEFERRED) == 100
    assert 1 <= len(world.opened) <= 2
    assert [text for text in settled.reason_texts if not text.startswith("421 4.7.0 too many")] == []


async def test_a_destination_with_more_mail_than_it_takes_puts_off_only_the_rest_of_its_own(
    mill: Mill, world: MailWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destinations, "PATIENCE_S", 0.2)
    monkeypatch.setattr(destinations, "LOOK_EVERY_S", 0.05)

    async def slow(peer: Peer) -> None:
        await peer.hello("FULL")
        while True:
            await peer.whole()
            await asyncio.sleep(0.05)
            peer.say("250 ok", "250 ok", "250 ok")

    await world.server("127.0.0.2", slow)
    await world.server("127.0.0.3")
    world.domain("slow.example", "127.0.0.2")
    world.domain("quick.example", "127.0.0.3")
    mill.domains = {i: "slow.example" if i < 190 else "quick.example" for i in range(200)}
    await mill.send_to(range(200))
    async with running(mill.worker(straight=world.straight())):
        [settled] = await mill.outcomes(1)
    assert list(settled.states[190:]) == [SENT] * 10
    put_off = settled.states.count(DEFERRED)
    assert 0 < put_off < 190
    assert settled.states.count(SENT) == 200 - put_off
    assert set(settled.reason_texts) <= set(BUSY_S)
    again = waiting(settled_of(settled.SerializeToString()))
    assert all(group.attempt == 0 and group.due_us > settled.started_at_us for group in again)


async def test_each_streams_mail_leaves_from_its_own_addresses(mill: Mill, world: MailWorld) -> None:
    seen: list[str] = []

    async def look(peer: Peer) -> None:
        seen.append(peer.writer.get_extra_info("peername")[0])
        await world.taking("127.0.0.2")(peer)

    await world.server("127.0.0.2", look)
    world.domain("example.com", "127.0.0.2")
    await mill.send_to(range(1))
    await mill.send_single(2)
    pools = "marketing=127.0.0.5; transactional=127.0.0.6; ten_2/marketing=127.0.0.7"
    async with running(mill.worker(straight=world.straight(pools=pools))):
        await mill.outcomes(2)
        assert sorted(seen) == ["127.0.0.5", "127.0.0.6"]
        seen.clear()
        world.domain("example.net", "127.0.0.2")
        mill.domains = {3: "example.net", 4: "example.net"}
        await mill.send_to(range(3, 5), campaign="cmp_order", transactional=True)
        await mill.outcomes(3)
    assert set(seen) == {"127.0.0.6"}, "a campaign that advertises nothing is no marketing"


@pytest.mark.parametrize("trouble", ["greets for ever", "servfail", "silence", "nobody there"])
async def test_a_destination_that_is_away_puts_off_its_own_people_and_no_other(mill: Mill, world: MailWorld, trouble: str) -> None:
    async def greet_for_ever(peer: Peer) -> None:
        while True:
            peer.say("220-wait")
            await asyncio.sleep(0.05)

    await world.server("127.0.0.2")
    world.domain("good.example", "127.0.0.2")
    world.domain("bad.example", "127.0.0.3")
    if trouble == "greets for ever":
        await world.server("127.0.0.3", greet_for_ever)
    elif trouble in ("servfail", "silence"):
        world.dns.troubles["bad.example"] = "servfail" if trouble == "servfail" else "silence"
    mill.domains = {i: "bad.example" if i % 2 else "good.example" for i in range(40)}
    await mill.send_to(range(40))
    async with running(mill.worker(straight=world.straight())):
        await until(lambda: len(world.taken) == 20)
        if trouble != "greets for ever":
            [settled] = await mill.outcomes(1)
            assert list(settled.states) == [DEFERRED if i % 2 else SENT for i in range(40)]
            assert [text[:6] for text in settled.reason_texts] == ["451 4."]  # an attempt, of which there are so many


async def test_a_new_address_hands_over_no_more_than_its_day_allows_through_any_restart(mill: Mill, world: MailWorld) -> None:
    """The second worker knows of the first's by the store alone; the next day allows more."""
    await world.server("127.0.0.2")
    world.domain("example.com", "127.0.0.2")
    day_s, pools = 86_400, "marketing=127.0.0.5@2026-11-20"
    world.now_us = int(datetime(2026, 11, 20, 23, 0, tzinfo=UTC).timestamp()) * 1_000_000
    sent: list[int] = []
    for number in range(1, 4):
        await mill.send_to(range(100 * number, 100 * number + 45))
        async with running(mill.worker(straight=world.straight(pools=pools))) as worker:
            await mill.outcomes(number)
            await worker.stop()
        sent.append(len(world.taken))
        if number == 2:
            world.now_us += day_s * 1_000_000
    assert sent[0] == 45
    assert 45 <= sent[1] <= 50  # the first may have taken a few of the day's ahead that nobody used
    assert sent[2] == sent[1] + 45


@promise("M6")
async def test_whoever_says_stop_while_their_server_is_looked_for_is_not_mailed(mill: Mill, world: MailWorld) -> None:
    connected, greet = asyncio.Event(), asyncio.Event()

    async def slow(peer: Peer) -> None:
        connected.set()
        await greet.wait()
        await world.taking("127.0.0.2")(peer)

    await world.server("127.0.0.2", slow)
    world.domain("a.example", "127.0.0.2")
    mill.domains = {0: "a.example", 1: "a.example"}
    await mill.send_to(range(2))
    async with running(mill.worker(straight=world.straight())):
        await connected.wait()
        tag, offset = await mill.withdraw(0)
        answer = await mill.await_stopped(tag, 0, offset, mill.generation)
        assert answer.stopped
        greet.set()
        await mill.outcomes(1)
    assert [to for _, to in world.taken] == ["user1@a.example"]
