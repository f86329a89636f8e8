"""What every store keeps to.

Past 300 lines by a few: each adapter is held to all of it, and what is said twice would be seen only side by side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from postlaw_common.store import AlreadyExists, CollectionSpec, Document, Index, Store, StoreRefused, VersionConflict
from postlaw_common.store.changing import change, put

NewStore = Callable[..., Awaitable[Store]]
PEOPLE = CollectionSpec("people", (Index("list_id"), Index("address_key", unique=True)))
IN_RANGES = CollectionSpec("people", range_parts=1)
RARELY_IN_RANGES = CollectionSpec("people", range_parts=1, rarely=True)


async def test_a_document_comes_back_as_it_was_with_its_version(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    values: dict[str, Any] = {
        "none": None, "yes": True, "zero": 0, "large": 2**63 - 1, "small": -(2**63), "half": 0.5, "text": "Zoë ½ 🕊",
        "bytes": bytes(range(256)), "empty": b"", "list": [1, "a", b"b", None, {"x": []}], "dict": {"inner": {"deep": b"x"}, "list": []},
        "lists": [["a", 1], [[], [b"b"]]], "escaped": "\"quoted\" \\ \\\" \b\f\n\r\t\x01\x1f\x7f / \u2028", "nothing": {},
        "tiny": 5e-324, "huge": -1.5e308, "large float": 2.0**60, "grow": {f"{'k' * (n % 5)}{n}": n for n in range(40)}, "ß": "ß",
    }  # fmt: skip
    document = {"_id": "p1", **values}
    await people.insert(document)
    assert document == {"_id": "p1", **values}  # the caller's own stays as it was
    found = await people.get("p1")
    assert found is not None and found == {"_id": "p1", "v": 1, **values}
    assert {name: type(value) for name, value in found.items()} == {"_id": str, "v": int, **{n: type(v) for n, v in values.items()}}
    assert await people.get("p1", linearizable=True) == found
    assert await people.get("p2") is None


async def test_an_id_and_a_unique_value_are_taken_once(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    await people.insert({"_id": "a", "address_key": b"1"})
    with pytest.raises(AlreadyExists):
        await people.insert({"_id": "a", "address_key": b"2"})
    with pytest.raises(AlreadyExists):
        await people.insert({"_id": "b", "address_key": b"1"})
    assert await people.count() == 1


async def test_a_unique_index_lets_many_be_without_a_value(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    for document in ({"_id": "a"}, {"_id": "b"}, {"_id": "c", "address_key": None}, {"_id": "d", "address_key": None}):
        await people.insert(document)
    current = await people.get("d")
    assert current is not None
    await people.replace({**current, "n": 1}, version=1)
    assert await people.count() == 4


async def test_a_replacement_wants_the_version_that_was_read(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    await people.insert({"_id": "a", "n": 0, "old": "field"})
    second = await people.replace({"_id": "a", "n": 1}, version=1)
    assert second == {"_id": "a", "n": 1, "v": 2} == await people.get("a")
    with pytest.raises(VersionConflict):
        await people.replace({"_id": "a", "n": 9}, version=1)
    with pytest.raises(VersionConflict):
        await people.replace({"_id": "missing", "n": 9}, version=1)
    assert await people.get("a", linearizable=True) == second
    assert (await people.replace({**second, "n": 2}, version=2))["v"] == 3


async def test_changes_at_the_same_time_come_one_after_the_other(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")

    def one_more(document: Document | None) -> Document | None:
        number = document["n"] if document else 0
        return {"_id": "a", "n": number + 1} if number < 6 else None

    changes = await asyncio.gather(*(change(people, "a", one_more) for _ in range(8)))
    assert sorted(before["n"] if before else 0 for before, _ in changes) == [0, 1, 2, 3, 4, 5, 6, 6]
    assert sorted(after["n"] for _, after in changes if after) == [1, 2, 3, 4, 5, 6, 6, 6]
    assert [before is after for before, after in changes].count(True) == 2
    await put(people, {"_id": "a", "n": 9})
    assert await people.get("a", linearizable=True) == {"_id": "a", "n": 9, "v": 7}


async def test_of_concurrent_replacements_at_one_version_one_wins(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    await people.insert({"_id": "a", "n": 0})
    for version in range(1, 40):
        writes = [people.replace({"_id": "a", "n": n}, version=version) for n in range(8)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        winners = [result for result in results if isinstance(result, dict)]
        assert len(winners) == 1 and sum(isinstance(result, VersionConflict) for result in results) == 7
        assert await people.get("a", linearizable=True) == winners[0]


async def test_many_are_replaced_where_they_are_as_they_were_read(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    await people.replace_many([])
    await people.insert_many([{"_id": f"{n:04d}", "list_id": "new", "n": 0} for n in range(1200)])
    read = await people.get_many(["0000", "0001", "0002"]) | {d["_id"]: d async for page in people.scan() for d in page}
    await people.replace({"_id": "0001", "n": 5}, version=1)
    await people.delete("0002")
    await people.replace_many([{**document, "list_id": "old", "n": 1} for document in read.values()])
    now = {d["_id"]: d async for page in people.scan() for d in page}
    assert now.pop("0001") == {"_id": "0001", "n": 5, "v": 2}
    assert now == {id: {"_id": id, "list_id": "old", "n": 1, "v": 2} for id in read if id not in ("0001", "0002")}
    assert await people.count("list_id", "old") == 1198 and await people.count("list_id", "new") == 0


async def test_what_one_has_replaced_no_replacement_of_many_from_before_takes_back(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    await people.insert_many([{"_id": f"{n}", "by": "nobody"} for n in range(20)])
    read = await people.get_many([f"{n}" for n in range(20)])

    async def one(id: str) -> bool:
        try:
            await people.replace({"_id": id, "by": "one"}, version=1)
        except VersionConflict:
            return False
        return True

    many = [people.replace_many([{**document, "by": "many"} for document in read.values()]) for _ in range(4)]
    mine, *_ = await asyncio.gather(asyncio.gather(*map(one, read)), *many)
    now = await people.get_many(list(read))
    assert {id: "one" if own else "many" for id, own in zip(read, mine, strict=True)} == {id: now[id]["by"] for id in read}
    assert {document["v"] for document in now.values()} == {2}


async def test_a_replacement_cannot_take_anothers_unique_value(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    await people.insert_many([{"_id": "a", "address_key": b"1"}, {"_id": "b", "address_key": b"2"}])
    with pytest.raises(AlreadyExists):
        await people.replace({"_id": "b", "address_key": b"1"}, version=1)
    assert await people.get("b") == {"_id": "b", "address_key": b"2", "v": 1}
    await people.replace({"_id": "a", "address_key": b"3"}, version=1)
    await people.replace({"_id": "b", "address_key": b"1"}, version=1)
    assert [d["_id"] for d in await people.find("address_key", b"1")] == ["b"]


async def test_many_are_inserted_and_those_there_before_are_named_and_left_alone(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    assert await people.insert_many([]) == set()
    first = [{"_id": f"{n:05d}", "address_key": f"k{n}".encode(), "round": 1} for n in range(0, 3000, 2)]
    assert await people.insert_many(first) == set()
    second = [{"_id": f"{n:05d}", "address_key": f"k{n}".encode(), "round": 2} for n in range(3000)]
    second.append({"_id": "other", "address_key": b"k0", "round": 2})
    assert await people.insert_many(second) == {document["_id"] for document in first} | {"other"}
    assert await people.count() == 3000
    assert ((await people.get("00000")) or {})["round"] == 1
    assert ((await people.get("00001")) or {})["round"] == 2
    assert await people.get("other") is None
    assert await people.insert_many([{"_id": "twice", "n": 1}, {"_id": "twice", "n": 2}]) == {"twice"}


async def test_in_order_nothing_goes_in_behind_one_that_is_there(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    assert await people.insert_in_order([]) == 0
    await people.insert({"_id": "01500", "address_key": b"k1500"})
    many = [{"_id": f"{n:05d}", "address_key": f"k{n}".encode()} for n in range(3000)]
    assert await people.insert_in_order(many) == 1500
    assert await people.count() == 1501
    assert await people.insert_in_order(many[1501:]) == 1499
    assert await people.insert_in_order([{"_id": "other", "address_key": b"k0"}, {"_id": "another", "address_key": b"k"}]) == 0
    assert await people.get("another") is None


async def test_of_concurrent_inserts_of_one_id_or_unique_value_one_wins(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    for n in range(20):
        inserts = [people.insert({"_id": f"{n}", "by": by}) for by in range(4)]
        inserts += [people.insert({"_id": f"{n}/{by}", "address_key": b"%d" % n}) for by in range(4)]
        results = await asyncio.gather(*inserts, return_exceptions=True)
        assert results[:4].count(None) == results[4:].count(None) == 1
        assert sum(isinstance(result, AlreadyExists) for result in results) == 6
    many = [{"_id": f"many{n:04d}"} for n in range(1500)]
    both = await asyncio.gather(people.insert_many(many), people.insert_many([*reversed(many)]))
    assert sorted([*both[0], *both[1]]) == [document["_id"] for document in many]


async def test_of_concurrent_deletes_at_one_version_one_wins_and_a_replacement_or_a_delete(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    for n in range(20):
        await people.insert_many([{"_id": "a"}, {"_id": "b"}])
        deletes = await asyncio.gather(*(people.delete("a", version=1) for _ in range(4)))
        assert sorted(deletes) == [False, False, False, True]
        replaced, deleted = await asyncio.gather(
            people.replace({"_id": "b", "n": n}, version=1), people.delete("b", version=1), return_exceptions=True
        )
        if deleted is True:
            assert isinstance(replaced, VersionConflict) and await people.get("b") is None
        else:
            assert isinstance(deleted, VersionConflict) and await people.get("b") == replaced
            assert await people.delete("b")


async def test_get_many_gives_those_that_exist(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    await people.insert_many([{"_id": f"{n}"} for n in range(5)])
    assert await people.get_many(["1", "3", "nobody"]) == {"1": {"_id": "1", "v": 1}, "3": {"_id": "3", "v": 1}}
    assert await people.get_many([]) == {}
    assert await people.get_many(["2", "1", "2", 'not "there"', "2"]) == {"1": {"_id": "1", "v": 1}, "2": {"_id": "2", "v": 1}}
    ids = [f"many/{n:04d}" for n in range(2500)]
    await people.insert_many([{"_id": id, "n": n} for n, id in enumerate(ids)])
    assert [document["n"] for _, document in sorted((await people.get_many([*reversed(ids)])).items())] == [*range(2500)]


async def test_a_document_is_deleted_once_and_only_at_the_version_given(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    await people.insert({"_id": "a", "list_id": "l"})
    await people.replace({"_id": "a", "list_id": "l"}, version=1)
    with pytest.raises(VersionConflict):
        await people.delete("a", version=1)
    assert await people.delete("a", version=2)
    assert not await people.delete("a")
    assert not await people.delete("a", version=2)
    await people.insert({"_id": "a"})
    assert await people.delete("a")
    assert await people.find("list_id", "l") == []


async def test_pages_of_an_index_run_by_id_without_gap_or_repeat(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    ids = [f"{n * 7919 % 100:03d}" for n in range(100)]
    await people.insert_many([{"_id": id, "list_id": "odd" if int(id) % 2 else b"even"} for id in ids])
    found: list[str] = []
    while page := await people.find("list_id", "odd", after=found[-1] if found else "", limit=7):
        assert len(page) <= 7
        found += [document["_id"] for document in page]
    assert found == [f"{n:03d}" for n in range(1, 100, 2)]
    assert len(await people.find("list_id", b"even")) == 50
    assert await people.find("list_id", "even") == await people.find("list_id", "ZXZlbg==") == []  # text is not bytes, nor their base 64
    assert await people.count("list_id", "ZXZlbg==") == 0
    assert await people.count("list_id", "odd") == 50


@pytest.mark.parametrize("spec", [IN_RANGES, RARELY_IN_RANGES], ids=["often", "rarely"])
async def test_pages_of_a_prefix_run_by_id_without_gap_or_repeat(new_store: NewStore, spec: CollectionSpec) -> None:
    people = (await new_store(spec)).collection("people")
    ids = [f"l{n % 3}/{n * 7919 % 100:03d}" for n in range(100)]
    await people.insert_many([{"_id": id} for id in [*ids, "l1", "l1/", "l1.", "l10", "l1\U0001f600"]])
    pages = [page async for page in people.under("l1/", size=7)]
    assert [len(page) for page in pages] == [7, 7, 7, 7, 5]
    found = [document["_id"] for page in pages for document in page]
    assert found == sorted(id for id in ids if id.startswith("l1/"))
    assert pages[0][0] == {"_id": found[0], "v": 1}
    assert [document["_id"] async for page in people.under("l1/", after=found[10], size=7) for document in page] == found[11:]
    assert [document["_id"] async for page in people.under("l2/", after="l1/999") for document in page] == sorted(
        i for i in ids if i[:3] == "l2/"
    )
    assert [page async for page in people.under("l3/")] == []


async def test_whoever_leaves_a_range_amid_its_pages_may_begin_another(new_store: NewStore) -> None:
    people = (await new_store(IN_RANGES)).collection("people")
    await people.insert_many([{"_id": f"l1/{n:03d}"} for n in range(60)])
    for _ in range(30):  # as many as would take up all that a server keeps open for one client
        async with aclosing(people.under("l1/", size=2)) as pages:
            assert [document["_id"] for document in await anext(pages)] == ["l1/000", "l1/001"]
    assert [len(page) async for page in people.under("l1/", size=50)] == [50, 10]


async def test_only_declared_ranges_are_read(new_store: NewStore) -> None:
    people = (await new_store(IN_RANGES)).collection("people")
    for prefix in ("l1", "l1/a", "l1/a/", "", "/l1"):
        with pytest.raises(KeyError):
            await anext(people.under(prefix))


async def test_an_index_follows_a_replacement(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    await people.insert({"_id": "a", "list_id": "l1"})
    await people.replace({"_id": "a", "list_id": "l2"}, version=1)
    assert await people.find("list_id", "l1") == []
    assert [d["_id"] for d in await people.find("list_id", "l2")] == ["a"]
    await people.replace({"_id": "a"}, version=2)
    assert await people.count("list_id", "l2") == 0


async def test_a_scan_gives_all_once_ascending(new_store: NewStore) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    await people.insert_many([{"_id": f"{n * 7919 % 2500:05d}", "list_id": f"l{n % 2}"} for n in range(2500)])
    everyone = [document["_id"] async for page in people.scan() for document in page]
    assert everyone == [f"{n:05d}" for n in range(2500)]
    some = [document async for page in people.scan("list_id", "l1") for document in page]
    assert len(some) == 1250 and all(document["list_id"] == "l1" for document in some)
    assert [page async for page in people.scan("list_id", "nobody")] == []


async def test_what_was_not_declared_is_refused(new_store: NewStore) -> None:
    store = await new_store(PEOPLE)
    with pytest.raises(KeyError):
        store.collection("other")
    with pytest.raises(KeyError):
        await store.collection("people").find("name", "x")
    with pytest.raises(TypeError):
        await store.collection("people").insert({"_id": 7})


async def test_documents_are_there_after_a_restart_and_a_new_index_takes_them_in(new_store: NewStore) -> None:
    store = await new_store(CollectionSpec("people"))
    await store.collection("people").insert_many([{"_id": f"{n}", "list_id": f"l{n % 2}", "address_key": b"%d" % n} for n in range(10)])
    await store.close()
    people = (await new_store(PEOPLE)).collection("people")
    assert [d["_id"] for d in await people.find("list_id", "l1")] == ["1", "3", "5", "7", "9"]
    with pytest.raises(AlreadyExists):
        await people.insert({"_id": "x", "address_key": b"3"})
    await (await new_store(PEOPLE)).close()


async def test_collections_of_one_database_are_apart(new_store: NewStore) -> None:
    store = await new_store(CollectionSpec("a"), CollectionSpec("b"))
    await store.collection("a").insert({"_id": "x", "in": "a"})
    await store.collection("b").insert({"_id": "x", "in": "b"})
    await store.collection("a").delete("x")
    assert await store.collection("b").get("x") == {"_id": "x", "in": "b", "v": 1}


@pytest.mark.parametrize("value", [2**64, {"x": object()}, "\ud800"], ids=["integer", "object", "text"])
async def test_a_document_that_no_store_takes_is_refused_and_never_an_outage(new_store: NewStore, value: Any) -> None:
    people = (await new_store(PEOPLE)).collection("people")
    await people.insert({"_id": "a", "n": 1})
    with pytest.raises(StoreRefused):
        await people.insert({"_id": "b", "n": value})
    with pytest.raises(StoreRefused):
        await people.insert_many([{"_id": "c", "n": 1}, {"_id": "d", "n": value}])
    with pytest.raises(StoreRefused):
        await people.replace({"_id": "a", "n": value}, version=1)
    assert await people.get("a") == {"_id": "a", "n": 1, "v": 1}
    assert await people.get_many(["b", "d"]) == {}
