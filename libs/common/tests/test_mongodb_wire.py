"""What the server of tests keeps to where its two halves meet: requests that its front answers, and those that it leaves to FerretDB.

Each of these holds on MongoDB, too."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient, ReplaceOne, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import CursorNotFound, DuplicateKeyError, OperationFailure

from postlaw_common.store.mongodb import split_url
from postlaw_common.testing.backing.mongodb_wire import LocalMongoWire

People = AsyncCollection[dict[str, Any]]


@pytest.fixture
async def people(mongodb_url: str) -> AsyncIterator[People]:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(split_url(mongodb_url)[0])
    database = f"wire_{uuid.uuid4().hex[:16]}"
    yield client[database]["people"]
    await client.drop_database(database)
    await client.close()


def read_by_ferretdb(people: People, id: str) -> Any:
    """A filter that the front does not serve."""
    return people.find_one({"$and": [{"_id": id}]})


VALUES: dict[str, Any] = {
    "text": 'a "b" \\ \n\x01 ß 🕊', "bytes": b"\x00\xff", "no": None, "yes": True, "whole": 1, "large": 2**40, "half": -0.5, "zero": -0.0,
    "list": [1, [2, []], {"a": b"b"}], "inner": {"b": {}, "a": [None]},
}  # fmt: skip


async def test_what_one_half_has_written_the_other_reads_the_same(people: People) -> None:
    await people.database.create_collection("people")
    await people.insert_one({"late": 1, "_id": "front", **VALUES})
    expected = {"_id": "front", "late": 1, **VALUES}
    for found in (await people.find_one({"_id": "front"}), await read_by_ferretdb(people, "front")):
        assert found is not None and found == expected and [*found] == [*expected]  # the _id first, as MongoDB does
    at = datetime(2026, 11, 27, tzinfo=UTC).replace(tzinfo=None)
    plain = {name: value for name, value in VALUES.items() if name != "list"}
    await people.update_one({"_id": "ferretdb"}, {"$set": plain}, upsert=True)
    assert await people.find_one({"_id": "ferretdb"}) == await read_by_ferretdb(people, "ferretdb") == {"_id": "ferretdb", **plain}
    # of a kind that the front does not read, alone and among others
    await people.insert_one({"_id": "kinds", "at": at, "id": ObjectId(b"x" * 12)})
    assert await people.find_one({"_id": "kinds"}) == {"_id": "kinds", "at": at, "id": ObjectId(b"x" * 12)}
    assert [d["_id"] async for d in people.find({}).sort("_id", 1)] == ["ferretdb", "front", "kinds"]


async def test_an_id_is_text_or_something_else_that_looks_like_it(people: People) -> None:
    id = ObjectId(b"x" * 12)
    await people.insert_many([{"_id": id, "v": 1}, {"_id": 7, "v": 1}])
    assert await people.find_one({"_id": str(id)}) is None
    assert await people.find_one({"_id": id}) == {"_id": id, "v": 1}
    assert (await people.replace_one({"_id": str(id), "v": 1}, {"_id": str(id), "v": 2})).matched_count == 0
    assert (await people.delete_one({"_id": str(id)})).deleted_count == 0
    assert await people.find({"_id": {"$gt": ""}}).to_list() == []
    assert {d["_id"] async for d in people.find({})} == {id, 7}
    assert (await people.delete_one({"_id": id})).deleted_count == 1
    await people.insert_one({"_id": "text"})
    assert await people.find({"_id": {"$gt": ""}}).to_list() == [{"_id": "text"}]


async def test_additions_and_replacements_at_the_same_time_lose_nothing(people: People) -> None:
    await people.insert_one({"_id": "a", "v": 0, "added": 0})

    async def add() -> None:  # by FerretDB
        for _ in range(20):
            await people.update_one({"_id": "a"}, {"$inc": {"v": 1, "added": 1}})

    async def replace() -> int:  # by the front
        done = 0
        while done < 20:
            found = await people.find_one({"_id": "a"})
            assert found is not None
            new = {**found, "v": found["v"] + 1, "replaced": found.get("replaced", 0) + 1}
            done += (await people.replace_one({"_id": "a", "v": found["v"]}, new)).modified_count
        return done

    await asyncio.gather(add(), add(), replace(), replace())
    assert await people.find_one({"_id": "a"}) == {"_id": "a", "v": 80, "added": 40, "replaced": 40}


async def test_a_replacement_says_what_it_has_changed(people: People) -> None:
    await people.insert_many([{"_id": "a", "v": 1}, {"_id": "b", "v": 1, "place": "x"}])
    for version, new, modified in ((1, {"_id": "a", "v": 1}, 0), (1, {"v": 2}, 1), (2, {"_id": "a", "v": 3}, 1)):
        replaced = await people.replace_one({"_id": "a", "v": version}, new)
        assert (replaced.matched_count, replaced.modified_count) == (1, modified)
    assert await people.find_one({"_id": "a"}) == {"_id": "a", "v": 3}
    assert (await people.replace_one({"_id": "a", "v": 9}, {"_id": "a", "v": 10})).matched_count == 0
    await people.create_index("place", unique=True, sparse=True)
    with pytest.raises(DuplicateKeyError):
        await people.replace_one({"_id": "a", "v": 3}, {"_id": "a", "v": 4, "place": "x"})
    done = await people.bulk_write([UpdateOne({"_id": "a"}, {"$set": {"n": 1}}), UpdateOne({"_id": "b"}, {"$set": {"n": 2}})])
    assert done.modified_count == 2 and [d["n"] async for d in people.find({}).sort("_id", 1)] == [1, 2]


async def test_replacements_of_several_are_counted(people: People) -> None:
    await people.insert_many([{"_id": id, "v": 1} for id in "abc"])
    for v, ordered, id in ((1, False, "c"), (2, True, "c"), (3, False, "missing")):
        some = [ReplaceOne({"_id": one, "v": v}, {"_id": one, "v": v + 1, "n": v}) for one in ("a", "b", id)]
        done = await people.bulk_write([*some, ReplaceOne({"_id": "c", "v": 9}, {"_id": "c", "v": 10})], ordered=ordered)
        assert (done.matched_count, done.modified_count) == ((2, 2) if id == "missing" else (3, 3))
    assert [(d["_id"], d["v"], d["n"]) async for d in people.find({}).sort("_id", 1)] == [("a", 4, 3), ("b", 4, 3), ("c", 3, 2)]
    twice = [ReplaceOne({"_id": "a", "v": v}, {"_id": "a", "v": v + 1}) for v in (4, 5, 4)]
    assert (await people.bulk_write(twice, ordered=False)).modified_count == 2
    assert await people.find_one({"_id": "a"}) == {"_id": "a", "v": 6}
    await people.create_index("place", unique=True, sparse=True)
    with pytest.raises(OperationFailure):  # the second finds a value taken
        both = [ReplaceOne({"_id": id, "v": v}, {"_id": id, "v": v + 1, "place": "x"}) for id, v in (("b", 4), ("c", 3))]
        await people.bulk_write(both, ordered=False)


async def test_replacements_of_several_are_the_fronts(people: People) -> None:
    """FerretDB takes no lists in lists."""
    await people.insert_many([{"_id": id, "v": 1} for id in "ab"])
    lists = [ReplaceOne({"_id": id, "v": 1}, {"_id": id, "v": 2, "sheet": [[1, 2], [3]]}) for id in "ab"]
    assert (await people.bulk_write(lists, ordered=False)).modified_count == 2
    assert [d["sheet"] async for d in people.find({}).sort("_id", 1)] == [[[1, 2], [3]]] * 2


async def test_a_cursor_keeps_to_its_limit_and_order_and_is_gone_when_it_was_closed(people: People) -> None:
    await people.insert_many([{"_id": f"{n:03d}", "place": "x" if n % 2 else b"x", "n": n} for n in range(100)])
    assert [d["n"] async for d in people.find({}, batch_size=7).sort("_id", 1).limit(30)] == [*range(30)]
    found = people.find({"place": "x", "_id": {"$gte": "011", "$lte": "089"}}, batch_size=8).sort("_id", 1)
    assert [d["n"] async for d in found] == [*range(11, 90, 2)]
    assert [d["n"] async for d in people.find({"_id": {"$gt": "090", "$lt": "093"}})] == [91, 92]
    assert [d["n"] async for d in people.find({}, batch_size=9).sort("_id", -1).limit(12)] == [*range(99, 87, -1)]
    assert await people.find({"_id": "050"}, {"_id": True}).to_list() == [{"_id": "050"}]
    assert await people.count_documents({"place": b"x"}) == await people.count_documents({"place": "x"}) == 50
    assert await people.count_documents({}) == 100 and await people.count_documents({"place": "y"}) == 0
    database = people.database
    begun = await database.command("find", "people", filter={}, batchSize=3)
    assert begun["cursor"]["id"] and len(begun["cursor"]["firstBatch"]) == 3
    assert len((await database.command("getMore", begun["cursor"]["id"], collection="people", batchSize=4))["cursor"]["nextBatch"]) == 4
    assert (await database.command("killCursors", "people", cursors=[begun["cursor"]["id"]]))["cursorsKilled"] == [begun["cursor"]["id"]]
    with pytest.raises(CursorNotFound):
        await database.command("getMore", begun["cursor"]["id"], collection="people")


async def test_a_collection_that_was_dropped_or_renamed_is_another_one(people: People) -> None:
    await people.insert_one({"_id": "a"})
    assert await people.find_one({"_id": "a"}) is not None
    await people.rename("others")
    assert await people.find_one({"_id": "a"}) is None
    await people.insert_one({"_id": "b"})
    assert [d["_id"] async for d in people.database["others"].find({})] == ["a"]
    await people.drop()
    assert await people.find_one({"_id": "b"}) is None and await people.count_documents({}) == 0
    await people.insert_one({"_id": "b"})
    await people.database.client.drop_database(people.database.name)
    assert await people.find_one({"_id": "b"}) is None
    await people.insert_one({"_id": "b"})
    assert await people.find({}).to_list() == [{"_id": "b"}]


def test_a_server_of_one_test_leaves_nothing_behind(local_mongodb: LocalMongoWire, tmp_path: Path) -> None:
    cluster = Path((tmp_path / "mongodb" / "cluster").read_text())
    assert cluster.is_dir()
    local_mongodb.remove()
    assert not cluster.exists() or cluster.is_relative_to(tmp_path)
    local_mongodb.remove()
