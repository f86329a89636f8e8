"""Mail that goes straight to the recipients' servers: each found by the DNS, and none that holds up another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from postlaw_common.testing.promises import promise
from postlaw_sending.stop.holding import BOUNCED, DEFERRED, SENT
from postlaw_sending.testing.smtp_peer import Peer
from services.sending.tests.worker.mill import Mill, running, until
from services.sending.tests.worker.world import MailWorld, mail_world


@pytest.fixture
async def world() -> AsyncGenerator[MailWorld]:
    async with mail_world() as world:
        yield world


async def test_everyone_is_mailed_at_their_own_domains_server(mill: Mill, world: MailWorld) -> None:
    await world.server("127.0.0.2")
    await world.server("127.0.0.3")
    world.domain("a.example", "127.0.0.2")
    world.domain("b.example", "127.0.0.3")
    mill.domains = {i: "a.example" if i % 2 else "b.example" for i in range(60)}
    await mill.send_to(range(60))
    async with running(mill.worker(exchange=world.exchange())):
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
    async with running(mill.worker(exchange=world.exchange())):
        [settled] = await mill.outcomes(1)
    assert list(settled.states) == [SENT, BOUNCED, BOUNCED]
    assert [settled.reason_texts[place - 1][:10] for place in settled.reasons[1:]] == ["556 5.1.10", "550 5.1.2 "]


async def test_the_next_server_is_tried_where_the_preferred_one_is_away(mill: Mill, world: MailWorld) -> None:
    """RFC 5321 §5.1."""
    await world.server("127.0.0.3")
    world.domain("a.example", "127.0.0.2", "127.0.0.3")
    mill.domains = {0: "a.example"}
    await mill.send_to(range(1))
    async with running(mill.worker(exchange=world.exchange())):
        [settled] = await mill.outcomes(1)
    assert list(settled.states) == [SENT]
    assert world.taken == [("127.0.0.3", "user0@a.example")]


@pytest.mark.parametrize("trouble", ["greets for ever", "servfail", "nobody there"])
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
    elif trouble == "servfail":
        world.dns.troubles["bad.example"] = "servfail"
    mill.domains = {i: "bad.example" if i % 2 else "good.example" for i in range(40)}
    await mill.send_to(range(40))
    async with running(mill.worker(exchange=world.exchange())):
        await until(lambda: len(world.taken) == 20)
        if trouble != "greets for ever":
            [settled] = await mill.outcomes(1)
            assert list(settled.states) == [DEFERRED if i % 2 else SENT for i in range(40)]


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
    async with running(mill.worker(exchange=world.exchange())):
        await connected.wait()
        tag, offset = await mill.withdraw(0)
        answer = await mill.await_stopped(tag, 0, offset, mill.generation)
        assert answer.stopped
        greet.set()
        await mill.outcomes(1)
    assert [to for _, to in world.taken] == ["user1@a.example"]
