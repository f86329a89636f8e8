"""Several versions of the words, each for its share of the audience, and one of them for everybody else."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.errors import Conflict, Invalid, Unprocessable
from postlaw_common.events import new_event, to_record
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.testing.patience import patience
from postlaw_sending.campaigns.domain.ab_test import AbTest, Measure, Variant, best, variant_of
from postlaw_sending.campaigns.domain.campaign import Template
from postlaw_sending.campaigns.domain.recipients import CAMPAIGN_PAUSED, State
from postlaw_sending.campaigns.keys import CAMPAIGN_KEYS, CampaignKeys
from postlaw_sending.tracking.wire import HITS_RECORDED, TRACKING
from services.sending.tests.campaigns.played import address_key
from services.sending.tests.campaigns.test_campaign_life import adds_up, by_id, settled

if TYPE_CHECKING:
    from .conftest import Opened, World

C = sending.Campaign
CLICKS = sending.Tracking(clicks=True)
HOUR_US = 3_600_000_000
WORDS = Template("s", "", "t")


def ab(*shares: int, **said: Any) -> sending.AbTest:
    """Variant n has the subject "Subject n", but for the first, which has the campaign's own."""
    test = sending.AbTest(**said)
    for number, share in enumerate(shares, 1):
        words = sending.VariantWords(subject=f"Subject {number}" if number > 1 else "")
        test.variants.add(template=words, share=share)
    return test


async def launched(world: World, test: sending.AbTest, **said: Any) -> str:
    campaign_id = (await world.draft(ab_test=test, **said)).campaign_id
    await world.stub.LaunchCampaign(by_id(campaign_id))
    async with patience():
        while not (await world.get(campaign_id)).totals.audience_complete:
            await asyncio.sleep(0.02)
    return campaign_id


async def by_variant(world: World, campaign_id: str) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """The audience's address keys: of variant 1, of 2, and of everybody else."""
    campaign = await world.parts.campaigns.find(campaign_id)
    assert campaign is not None
    assert campaign.ab_test is not None
    store = world.store
    keys = CampaignKeys(lambda: store.collection(CAMPAIGN_KEYS.name), CustomerKeys(store, world.platform.root_key))
    key = await keys.get(campaign.tenant_id, campaign_id)
    drawn = {each: variant_of(campaign.ab_test, key, campaign_id, each) for each in world.people.names}
    first, second, rest = ([each for each, variant in drawn.items() if variant == number] for number in (1, 2, 0))
    return first, second, rest


async def happens(world: World, campaign_id: str, *hits: sending.Hit) -> None:
    """As tracking tells it."""
    campaign = await world.get(campaign_id)
    said = sending.HitsRecorded(tenant_id=campaign.tenant_id, campaign_id=campaign_id, hits=hits).SerializeToString()
    event = new_event(HITS_RECORDED, said, source="sending", subject=campaign_id, sequence=0, tenant_id=campaign.tenant_id)
    await world.bus.publish([to_record(event, TRACKING, 0)])


async def waiting_in_log(world: World) -> int:
    """How many people stand in the log."""
    return sum([batch.size for partition in range(world.bus.partitions) for batch in await world.records(partition)])


async def variants_in_log(world: World) -> dict[str, int]:
    """By address, of all that was delivered."""
    sealed = {(batch.campaign_id, p, batch.batch): batch.variant for p in range(world.bus.partitions) for batch in await world.records(p)}
    return {person.address: sealed[place] for place, people in world.batches.items() for person in people}


def choose(world: World, campaign_id: str, variant: int) -> Any:
    return world.stub.ChooseWinner(sending.ChooseWinnerRequest(campaign_id=campaign_id, variant=variant))


def by_words(world: World) -> Counter[str]:
    return Counter(subject if subject.startswith("Subject") else "own" for subject in world.subjects.values())


def test_each_variant_gets_its_share_and_everybody_the_same_one_each_time() -> None:
    test = AbTest((Variant(WORDS, 10), Variant(WORDS, 25)))
    drawn = [variant_of(test, b"k" * 32, "cmp_1", address_key(number)) for number in range(20_000)]
    assert drawn == [variant_of(test, b"k" * 32, "cmp_1", address_key(number)) for number in range(20_000)]
    counts = Counter(drawn)
    assert [abs(counts[number] - expected) < 300 for number, expected in ((1, 2_000), (2, 5_000), (0, 13_000))] == [True] * 3
    others = [variant_of(test, b"k" * 32, "cmp_2", address_key(number)) for number in range(20_000)]
    alike = sum(one == other for one, other in zip(drawn, others, strict=True))
    assert alike < 12_000, "who was in one campaign's first variant is not so in the next"
    whole = AbTest((Variant(WORDS, 50), Variant(WORDS, 50)))
    assert {variant_of(whole, b"k" * 32, "cmp_1", address_key(number)) for number in range(500)} == {1, 2}


def test_the_winner_has_most_responses_for_its_share_and_of_equals_it_is_the_first() -> None:
    test = AbTest((Variant(WORDS, 10), Variant(WORDS, 20), Variant(WORDS, 10)), Measure.CLICKS)
    assert best(test, [10, 15, 9]) == 1
    assert best(test, [10, 21, 10]) == 2
    assert best(test, [0, 0, 0]) == 1


async def test_everybody_else_waits_for_the_winner_and_a_retry_has_the_words_of_before(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(1_000))
        campaign_id = await launched(world, ab(20, 20))
        async with patience():
            while await waiting_in_log(world) < 300:
                await asyncio.sleep(0.05)
        await world.stub.PauseCampaign(by_id(campaign_id))
        await world.deliver(lambda person, attempt: (State.DEFERRED, CAMPAIGN_PAUSED))
        assigned = await variants_in_log(world)
        await settled(world, campaign_id, 1_000)
        await world.stub.ResumeCampaign(by_id(campaign_id))
        async with patience():
            while len(world.mailed) < 300 or await world.deliver():
                await world.deliver()
                await asyncio.sleep(0.1)
        words = {1: "Hello", 2: "Subject 2"}
        assert all(world.subjects[address].startswith(words[variant]) for address, variant in assigned.items())
        before = by_words(world)
        assert set(before) == {"own", "Subject 2"}
        assert all(140 < count < 260 for count in before.values())
        await settled(world, campaign_id, 1_000 - sum(before.values()))
        chosen = await choose(world, campaign_id, 2)
        assert (chosen.ab_test.winner, chosen.ab_test.decided_by) == (2, "api_key/key_test")
        assert (await choose(world, campaign_id, 2)).version == chosen.version, "the same again changes nothing"
        with pytest.raises(Conflict):
            await choose(world, campaign_id, 1)
        campaign = await world.until(campaign_id, C.STATUS_FINISHED)
        assert sorted(world.mailed) == sorted(f"p{number}@example.com" for number in range(1_000))
        assert by_words(world) == {"own": before["own"], "Subject 2": 1_000 - before["own"]}
        assert adds_up(campaign.totals)
        records = [
            sending.CampaignChanged.FromString(record.value)
            for partition in range(world.bus.partitions)
            for record in await world.bus.read_range("postlaw.sending.campaigns.v1", partition, 0, 100)
        ]
        [told] = [change for change in records if change.version == chosen.version]
        assert (told.winner, told.actor.id) == (2, "key_test")


async def test_what_people_did_chooses_at_its_time_and_each_counts_once(open_world: Opened) -> None:
    ahead = [0]
    async with open_world(now_us=lambda: time.time_ns() // 1000 + ahead[0]) as world:
        world.people.add_list("lst_1", range(600))
        campaign_id = await launched(world, ab(30, 30, measure=sending.AbTest.MEASURE_CLICKS, decide_after_minutes=120), tracking=CLICKS)
        first, second, rest = await by_variant(world, campaign_id)
        click, opened = sending.Hit.KIND_CLICK, sending.Hit.KIND_OPEN
        await happens(world, campaign_id, *[sending.Hit(kind=click, address_key=key) for key in second[:2]])
        await happens(world, campaign_id, *[sending.Hit(kind=click, address_key=first[0], link=link) for link in range(5)])
        await happens(world, campaign_id, *[sending.Hit(kind=click, address_key=key, machine="head-request") for key in first])
        await happens(world, campaign_id, *[sending.Hit(kind=opened, address_key=key) for key in first])
        await happens(world, campaign_id, *[sending.Hit(kind=click) for _ in range(9)], *[sending.Hit(kind=click, address_key=rest[0])])
        async with patience():
            while [variant.responses for variant in (await world.get(campaign_id)).ab_test.variants] != [1, 2]:
                await asyncio.sleep(0.05)
        ahead[0] = 2 * HOUR_US - 60_000_000
        await asyncio.sleep(0.7)
        campaign = await world.get(campaign_id)
        assert [variant.responses for variant in campaign.ab_test.variants] == [1, 2]
        assert campaign.ab_test.winner == 0
        ahead[0] = 2 * HOUR_US + 1_000_000
        campaign = await world.until(campaign_id, C.STATUS_FINISHED)
        assert (campaign.ab_test.winner, campaign.ab_test.decided_by) == (2, "measure")
        assert by_words(world)["Subject 2"] > 350
        assert sum(by_words(world).values()) == 600


async def test_a_test_that_is_none_is_refused(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(10))
        by_clicks = sending.AbTest.MEASURE_CLICKS
        for wrong in (
            ab(50),
            ab(10, 10, 10, 10, 10),
            ab(60, 50),
            ab(0, 50),
            ab(10, 10, measure=by_clicks),
            ab(10, 10, measure=by_clicks, decide_after_minutes=60),
            ab(10, 10, decide_after_minutes=60),
            ab(10, 10, measure=by_clicks, decide_after_minutes=20_000),
            ab(10, 10, winner=1),
        ):
            with pytest.raises(Invalid):
                await world.draft(ab_test=wrong)
        broken = ab(10, 10)
        broken.variants[1].template.html = "<p>{{ name"
        with pytest.raises(Invalid):
            await world.draft(ab_test=broken)
        plain = await world.launched()
        with pytest.raises(Conflict):
            await choose(world, plain, 1)
        campaign_id = await launched(world, ab(10, 10))
        with pytest.raises(Invalid):
            await choose(world, campaign_id, 3)


async def test_every_variant_must_pass_the_checklist(open_world: Opened) -> None:
    async with open_world() as world:
        world.people.add_list("lst_1", range(10))
        deceives = ab(10, 10)
        deceives.variants[1].template.subject = "Re: your invoice"
        campaign_id = (await world.draft(ab_test=deceives)).campaign_id
        with pytest.raises(Unprocessable) as refused:
            await world.stub.LaunchCampaign(by_id(campaign_id))
        [failed] = refused.value.fields
        assert failed.field == "subject"
        assert failed.message.startswith("Variant 2: ")
