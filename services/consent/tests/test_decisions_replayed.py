"""Every decision can be made again from what was stored, and another law shows what it would change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.bus import BusUnavailable, Received
from postlaw_common.testing.promises import promise
from postlaw_consent.commands import decisions
from postlaw_consent.decisions_made import DECISIONS, Made
from postlaw_consent.decisions_wire import decode_made
from postlaw_consent.laws import LAWS, Laws
from postlaw_consent.ledger import LEDGER, begin_of, id_of
from postlaw_consent.use_cases.replay_decisions import ReplayDecisions, Replayed, UnknownLaw
from postlaw_consent.wire import timestamp
from postlaw_law.law import Law
from postlaw_law.loading import law_of, law_texts, the_law

from .world import PROVEN, World


def crowd(world: World, count: int) -> list[bytes]:
    """People of one partition."""
    people = (world.person(str(number)) for number in range(10_000))
    return [person for person in people if world.partition(person) == 0][:count]


async def decided(world: World) -> list[bytes]:
    """A few who were decided on, twice, with events in between and after."""
    people = crowd(world, 6)
    for person in people[:4]:
        await world.given(person)
    await world.withdraw(people[0])
    await world.decide(*people, bulk=True)
    await world.withdraw(people[1])
    await world.given(people[0], route=pb.ROUTE_PAGE)
    await world.decide(*people, message=pb.Message(message_class="transactional"))
    await world.withdraw(people[0])
    return people


async def replayed(world: World, under: Law | None = None, wanted: str = "") -> Replayed:
    store = world.stores["consent"]
    laws = Laws(lambda: store.collection(LAWS.name))
    again = ReplayDecisions(store.collection(LEDGER.name), laws.get, decode_made, lambda _: None, under=under)

    async def pages() -> AsyncIterator[list[Received]]:
        yield await world.published(DECISIONS.name)

    def want(made: Made) -> bool:
        return made.asked.message_class == wanted or not wanted

    return await again(pages(), want)


@promise("G1", "M6")
async def test_a_replay_equals_the_original_whatever_came_since(world: World) -> None:
    await decided(world)
    done = await replayed(world)
    assert (done.batches, done.decisions, done.as_made) == (2, 12, True)
    assert (await replayed(world, wanted="transactional")).batches == 1


@promise("M6")
async def test_a_replay_knows_of_which_brand_each_message_was(world: World) -> None:
    person = world.person("ada")
    await world.given(person)
    await world.withdraw(person, scope=pb.Scope(brand="Acme"))
    for brand in ("Acme", "Other", ""):
        await world.decide(person, brand=brand)
    await world.decide(person, scope=pb.Scope(everything=True), brand="Acme")
    done = await replayed(world)
    assert (done.batches, done.as_made) == (4, True)


async def test_a_ledger_that_was_tampered_with_is_found_by_the_hash_and_by_the_verdict(world: World) -> None:
    people = await decided(world)
    ledger = world.stores["consent"].collection(LEDGER.name)
    line = await ledger.get(id_of(begin_of(world.caller.tenant_id, 0, people[2]), 1))
    assert line is not None
    await ledger.replace(line | {"fact": line["fact"].replace("list:lst_1", "list:lst_2")}, version=line["v"])
    done = await replayed(world)
    assert len(done.inputs_differ) == 2
    assert [(one.address_key, one.was) for one in done.differ] == [(people[2], ())]
    await ledger.delete(line["_id"])
    assert len((await replayed(world)).inputs_differ) == 2


async def test_another_law_shows_whom_it_would_open_and_close(world: World) -> None:
    ada, bob = crowd(world, 2)
    await world.given(ada)
    some = [held for held in PROVEN.held if held != pb.EVIDENCE_WITHDRAWAL_INFO]
    await world.given(bob, particulars=pb.Particulars(held=some), wording="Yes.")
    await world.decide(ada, bob, bulk=True)
    done = await replayed(world, changed('"withdrawal_info", "separate"', '"negotiation", "separate"'))
    assert (done.decisions, done.opened, done.closed, done.inputs_differ) == (2, 0, 1, [])
    assert [(one.address_key, one.was) for one in done.differ] == [(ada, ())]
    done = await replayed(world, changed('"withdrawal_info", ', ""))
    assert (done.opened, done.closed) == (1, 0)
    assert (await replayed(world, the_law())).as_made


async def test_people_whose_consents_end_on_different_days_share_a_verdict_and_keep_their_ends(world: World) -> None:
    world.identity.stands.territory = "CA"
    people = crowd(world, 40)
    day_us = 86_400_000_000
    noon_us = world.now_us() // day_us * day_us - day_us // 2  # by night two of them may be one day where clocks are put back
    for number, person in enumerate(people):
        when = timestamp(noon_us - number * day_us)
        shop = pb.Particulars(relationship="purchase", territories=["CA"])
        await world.given(person, kind=pb.ConsentEvent.KIND_IMPLIED, particulars=shop, source="a till", given_at=when)
    assert len((await world.decide(*people, bulk=True)).verdicts) == 1
    [made] = [decode_made(record.value) for record in await world.published(DECISIONS.name)]
    assert len(set(made.ends)) == 40
    assert (await replayed(world)).as_made


def changed(old: str, new: str) -> Law:
    texts = law_texts()
    assert any(old in text for text in texts.values())
    return law_of({name: text.replace(old, new) for name, text in texts.items()})


async def test_a_decision_of_a_law_that_nobody_kept_is_not_replayed_in_silence(world: World) -> None:
    await decided(world)
    await world.stores["consent"].collection(LAWS.name).delete(the_law().version)
    with pytest.raises(UnknownLaw, match=the_law().version):
        await replayed(world)


async def test_nothing_is_decided_that_cannot_be_kept(world: World) -> None:
    [person] = crowd(world, 1)
    await world.given(person)
    world.bus.down = True
    with pytest.raises(BusUnavailable):
        await world.decide(person)
    world.bus.down = False
    assert await world.allowed(person)
    assert len(await world.published(DECISIONS.name)) == 1


def test_the_command_replays_what_an_installation_decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def prepare() -> None:
        world = World(tmp_path)
        await world.start()
        await decided(world)
        await world.stop()

    asyncio.run(prepare())
    monkeypatch.setenv("POSTLAW_STATE", str(tmp_path))
    monkeypatch.setenv("POSTLAW_PARTITIONS", "4")
    run = CliRunner()
    said = run.invoke(decisions, ["replay"])
    assert (said.exit_code, said.stdout.strip()) == (0, "12 decisions in 2 batches: 0 differ")
    assert json.loads(run.invoke(decisions, ["replay", "--json", "--campaign", "cmp_other"]).stdout)["batches"] == 0
    assert run.invoke(decisions, ["replay", "--until", "2020-01-01T00:00:00+0000"]).stdout.strip().startswith("0 decisions")
    law = tmp_path / "law"
    law.mkdir()
    for name, text in law_texts().items():
        (law / name).write_text(text.replace('"withdrawal_info", "separate"', '"negotiation", "separate"'))
    said = run.invoke(decisions, ["replay", "--law", str(law)])
    assert said.exit_code == 3
    assert "0 would be opened, 3 would be closed" in said.stdout
    (law / "zz.toml").unlink()
    said = run.invoke(decisions, ["replay", "--law", str(law)])
    assert said.exit_code == 1
    assert "there is no strictest default" in said.stderr
