"""Notices: the wordings that people read, and that consents point at."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import acting_as
from postlaw_common.errors import Conflict, Invalid, NotFound
from postlaw_common.testing.patience import patience
from postlaw_common.testing.promises import promise
from postlaw_consent.notices import CHANGED, NOTICES
from postlaw_consent.wire import timestamp

if TYPE_CHECKING:
    from .world import World

LIST = pb.Scope(list_id="lst_1")
DAY_US = 86_400_000_000


async def put(world: World, wording: str = "Yes.", **more: Any) -> pb.Notice:
    more = {"language": "en", "effective_from": timestamp(world.now_us() - 10 * DAY_US)} | more
    with acting_as(world.caller):
        return await world.consent.PutNotice(pb.PutNoticeRequest(wording=wording, **more), None)


async def get(world: World, wording: str) -> pb.Notice:
    with acting_as(world.caller):
        return await world.consent.GetNotice(pb.GetNoticeRequest(notice_hash=hashed(wording)), None)


async def listed(world: World, **more: Any) -> pb.ListNoticesResponse:
    with acting_as(world.caller):
        return await world.consent.ListNotices(pb.ListNoticesRequest(**more), None)


def hashed(wording: str) -> bytes:
    return hashlib.sha256(wording.encode()).digest()


@promise("G2")
async def test_a_wording_is_kept_under_its_hash_with_its_language_and_its_dates(world: World) -> None:
    began = timestamp(world.now_us() - 10 * DAY_US)
    made = await put(world, "Ja, gerne.", language="de-AT", effective_from=began)
    assert (made.notice_hash, made.wording, made.language, made.effective_from) == (hashed("Ja, gerne."), "Ja, gerne.", "de-AT", began)
    assert not made.HasField("effective_to")
    assert not made.HasField("first_used_at")
    assert made.version == 1
    assert await get(world, "Ja, gerne.") == made
    with world.tenant("ten_other"), pytest.raises(NotFound):
        await get(world, "Ja, gerne.")


async def test_the_same_wording_again_changes_its_end_and_nothing_else(world: World) -> None:
    made = await put(world)
    began, ended = made.effective_from, timestamp(world.now_us())
    assert await put(world, effective_from=began) == made
    ended_one = await put(world, effective_from=began, effective_to=ended)
    assert (ended_one.effective_to, ended_one.registered_at, ended_one.version) == (ended, made.registered_at, 2)
    assert not (await put(world, effective_from=began)).HasField("effective_to")
    others: list[tuple[dict[str, Any], str]] = [
        ({"language": "fr", "effective_from": began}, "language"),
        ({"effective_from": ended}, "effective_from"),
    ]
    for wrong, field in others:
        with pytest.raises(Conflict) as refused:
            await put(world, **wrong)
        assert (refused.value.type, [one.field for one in refused.value.fields]) == ("notice-differs", [field])


async def test_what_is_no_notice_is_refused_by_its_field(world: World) -> None:
    began = timestamp(world.now_us())
    others: list[tuple[dict[str, Any], str]] = [
        ({"language": "English, please"}, "language"),
        ({"effective_from": began, "effective_to": timestamp(1)}, "effective_to"),
    ]
    for wrong, field in others:
        with pytest.raises(Invalid) as refused:
            await put(world, **wrong)
        assert [one.field for one in refused.value.fields] == [field]
    assert (await listed(world)).notices == []
    with acting_as(world.caller), pytest.raises(Invalid):
        await world.consent.GetNotice(pb.GetNoticeRequest(notice_hash=b"short"), None)


@promise("G2")
async def test_a_consent_registers_the_wording_that_it_carries_with_its_language_and_first_use(world: World) -> None:
    given_at = timestamp(world.now_us() - 5_000_000)
    await world.given(world.person("ada"), wording="Oui.", particulars=pb.Particulars(language="fr"), given_at=given_at)
    await world.given(world.person("bob"), wording="Oui.", particulars=pb.Particulars(language="de"))
    notice = await get(world, "Oui.")
    assert (notice.language, notice.first_used_at, notice.HasField("effective_from")) == ("fr", given_at, False)
    said = await put(world, "Oui.", language="fr")
    assert (said.first_used_at, said.HasField("effective_from"), said.registered_at) == (given_at, True, notice.registered_at)


@promise("G2")
async def test_a_consent_may_name_a_registered_notice_by_its_hash_alone(world: World) -> None:
    await put(world)
    answer = await world.given(world.person("ada"), notice_hash=hashed("Yes."))
    assert (answer.recorded, list(answer.remarks)) == (1, [])
    assert await world.allowed(world.person("ada"))
    first = (await get(world, "Yes.")).first_used_at
    await world.given(world.person("bob"), notice_hash=hashed("Yes."))
    await world.restart()
    await world.given(world.person("eve"), notice_hash=hashed("Yes."))
    assert (await get(world, "Yes.")).first_used_at == first


@promise("G2")
async def test_a_consent_that_names_a_notice_that_nobody_registered_is_refused(world: World) -> None:
    await put(world)
    theirs, mine = hashed("Only another customer has this."), hashed("Yes.")
    with world.tenant("ten_other"):
        await put(world, "Only another customer has this.")
    people = [world.person(name) for name in ("ada", "bob", "eve")]
    records = [
        pb.ConsentRecord(address_key=person, scope=LIST, notice_hash=hash)
        for person, hash in zip(people, (mine, theirs, b"n" * 32), strict=True)
    ]
    with pytest.raises(Invalid) as refused:
        await world.record(*records)
    assert [one.field for one in refused.value.fields] == ["consents[1].notice_hash", "consents[2].notice_hash"]
    with pytest.raises(Invalid) as refused:
        await world.record_of_many(people, notice_hash=theirs)
    assert [one.field for one in refused.value.fields] == ["consent.notice_hash"]
    assert await world.events() == []


async def test_of_two_consents_one_may_bring_the_wording_that_the_other_names(world: World) -> None:
    ada = pb.ConsentRecord(address_key=world.person("ada"), scope=LIST, notice_hash=hashed("Yes."))
    bob = pb.ConsentRecord(address_key=world.person("bob"), scope=LIST, wording="Yes.")
    assert (await world.record(ada, bob)).recorded == 2


@promise("G2")
async def test_a_consent_outside_its_notices_dates_is_recorded_and_the_answer_says_so(world: World) -> None:
    now = world.now_us()
    await put(world, effective_from=timestamp(now - 2 * DAY_US), effective_to=timestamp(now - DAY_US))
    at = {"ada": now - 3 * DAY_US, "bob": now - 2 * DAY_US, "eve": now - DAY_US, "joe": now - DAY_US + 1}
    records = [
        pb.ConsentRecord(address_key=world.person(name), scope=LIST, notice_hash=hashed("Yes."), given_at=timestamp(us))
        for name, us in at.items()
    ]
    answer = await world.record(*records)
    assert answer.recorded == 4
    assert [(one.field, one.message.rpartition("its ")[2]) for one in answer.remarks] == [
        ("consents[0].notice_hash", "effective_from"),
        ("consents[3].notice_hash", "effective_to"),
    ]
    many = await world.record_of_many([world.person("zoe")], wording="Yes.", given_at=timestamp(now - 3 * DAY_US))
    assert (many.recorded, [one.field for one in many.remarks]) == (1, ["consent.notice_hash"])


async def test_a_corrected_end_counts_at_once_where_it_was_put(world: World) -> None:
    made = await put(world)
    await world.given(world.person("ada"), notice_hash=hashed("Yes."))
    await put(world, effective_from=made.effective_from, effective_to=timestamp(world.now_us() - DAY_US))
    assert (await world.given(world.person("bob"), notice_hash=hashed("Yes."))).remarks


async def test_a_wording_put_and_used_at_the_same_time_is_one_notice(world: World) -> None:
    await asyncio.gather(
        *(put(world) for _ in range(5)), *(world.given(world.person(str(n)), wording="Yes.") for n in range(5)), return_exceptions=True
    )
    notice = await get(world, "Yes.")
    assert (notice.language, notice.HasField("effective_from"), notice.HasField("first_used_at")) == ("en", True, True)
    assert len((await listed(world)).notices) == 1


async def test_notices_are_listed_in_pages_of_their_own_customer(world: World) -> None:
    for number in range(7):
        await put(world, f"Wording {number}")
    with world.tenant("ten_other"):
        await put(world, "Theirs")
    seen: list[bytes] = []
    token = ""
    while True:
        page = await listed(world, page_size=3, page_token=token)
        seen += [notice.notice_hash for notice in page.notices]
        token = page.next_page_token
        if not token:
            break
    assert seen == sorted(hashed(f"Wording {number}") for number in range(7))
    with pytest.raises(Invalid):
        await listed(world, page_token="x")


async def test_a_wording_kept_before_notices_had_more_to_them_is_a_notice(world: World) -> None:
    collection = world.stores["consent"].collection(NOTICES.name)
    await collection.insert(
        {"_id": f"{world.caller.tenant_id}/{hashed('Old.').hex()}", "tenant": world.caller.tenant_id, "wording": "Old."}
    )
    assert (await world.given(world.person("ada"), notice_hash=hashed("Old."))).recorded == 1
    notice = await get(world, "Old.")
    assert (notice.wording, notice.HasField("first_used_at"), notice.HasField("registered_at")) == ("Old.", True, False)


async def told(world: World, count: int) -> list[pb.NoticeChanged]:
    """By the log, in the order of their versions, once there are so many; the wording is in none of them."""
    async with patience():
        while len(records := await world.published(CHANGED.name)) < count:
            await asyncio.sleep(0.01)
    assert not any(b"Yes." in record.value for record in records)
    events = [pb.NoticeChanged.FromString(record.value) for record in records]
    assert [record.headers["ce_sequence"].decode() for record in records] == [str(event.version) for event in events]
    return sorted(events, key=lambda event: event.version)


@promise("G2", "A1")
async def test_the_log_is_told_what_is_said_of_a_notice_each_time_it_changes(world: World) -> None:
    made = await put(world)
    await put(world, effective_from=made.effective_from)  # nothing new, nothing told
    await world.given(world.person("ann"), notice_hash=hashed("Yes."))
    await world.given(world.person("ann"), notice_hash=hashed("Yes."))
    ended = await put(world, effective_from=made.effective_from, effective_to=timestamp(world.now_us()))
    first, used, last = await told(world, 3)
    assert (first.tenant_id, first.notice_hash, first.language) == (world.caller.tenant_id, hashed("Yes."), "en")
    assert (first.effective_from, first.registered_at) == (made.effective_from, made.registered_at)
    assert not first.HasField("first_used_at") and used.HasField("first_used_at")
    assert (last.effective_to, last.first_used_at, last.version) == (ended.effective_to, used.first_used_at, 3)


@promise("G2", "A1")
async def test_a_notice_that_a_consent_brings_is_told_after_an_outage_too(world: World) -> None:
    world.bus.down = True
    await put(world)
    await world.stop()
    await world.start()
    world.bus.down = False
    assert await told(world, 0) == []
    kept = world.stores["consent"].collection(NOTICES.name)
    [document] = [document async for page in kept.scan() for document in page]
    await kept.replace(document | {"outbox_at_us": 0}, version=document["v"])  # else the sweep takes it for one under way
    [sweeping] = [background for background in world.service.backgrounds if background.name == "notices"]
    task = asyncio.ensure_future(sweeping.run())
    [one] = await told(world, 1)
    task.cancel()
    assert one.notice_hash == hashed("Yes.")
    assert (await get(world, "Yes.")).version == 1
