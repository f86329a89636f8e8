"""What the store on MongoDB keeps to beyond every store's contract: its URL and its outages."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from pymongo.errors import BulkWriteError, CursorNotFound, OperationFailure, PyMongoError, WriteError

from postlaw_common.store import CollectionSpec, Index, StoreRefused, StoreUnavailable
from postlaw_common.store.mongodb import MongoStore, as_unavailable, duplicates, split_url


def test_reads_are_linearizable_unless_the_url_says_that_the_server_cannot() -> None:
    assert split_url("mongodb://a,b/?replicaSet=rs0&tls=true")[:2] == ("mongodb://a,b/?replicaSet=rs0&tls=true", "linearizable")
    assert split_url("mongodb://a/?postlawReadConcern=local")[:2] == ("mongodb://a/", "local")
    assert split_url("mongodb://a/?x=1&postlawReadConcern=local&y=2")[:2] == ("mongodb://a/?x=1&y=2", "local")
    with pytest.raises(ValueError, match="must be linearizable or local"):
        split_url("mongodb://a/?postlawReadConcern=majority")


def test_ranges_of_ids_are_read_by_the_index_unless_the_url_says_that_the_server_cannot() -> None:
    assert split_url("mongodb://a/?x=1")[2] and not split_url("mongodb://a/?postlawIdRanges=read-all")[2]
    with pytest.raises(ValueError, match="postlawIdRanges"):
        split_url("mongodb://a/?postlawIdRanges=none")


def test_only_a_duplicate_counts_as_being_there_already() -> None:
    documents = [{"_id": "a"}, {"_id": "b"}]
    assert duplicates(BulkWriteError({"writeErrors": [{"index": 1, "code": 11000}]}), documents) == {"b"}
    with pytest.raises(BulkWriteError):
        duplicates(BulkWriteError({"writeErrors": [{"index": 0, "code": 11000}, {"index": 1, "code": 121}]}), documents)
    with pytest.raises(BulkWriteError):
        duplicates(BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64}]}), documents)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (WriteError("too large", 10334), StoreRefused),
        (WriteError("the server is going down", 11600), StoreUnavailable),
        (OperationFailure("not allowed", 13), StoreUnavailable),
        (CursorNotFound("cursor id 7 not found", 43), StoreUnavailable),
        (BulkWriteError({"writeErrors": [{"index": 0, "code": 11000}, {"index": 1, "code": 121}]}), StoreRefused),
        (BulkWriteError({"writeErrors": [{"index": 0, "code": 121}, {"index": 1, "code": 11600}]}), StoreUnavailable),
        (BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64}]}), StoreUnavailable),
    ],
)
def test_what_the_server_refused_is_told_from_what_it_could_not_do_now(error: PyMongoError, kind: type[Exception]) -> None:
    with pytest.raises(kind), as_unavailable("people"):
        raise error


async def test_no_server_at_all_is_one_clear_line() -> None:
    store = MongoStore("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200", "nobody")
    with pytest.raises(StoreUnavailable, match="nobody: the store does not answer") as refused:
        await store.start([CollectionSpec("c")])
    assert "\n" not in str(refused.value)
    await store.close()


async def test_replicas_that_start_at_once_on_an_empty_server_all_start(mongodb_url: str) -> None:
    database = f"started_{secrets.token_hex(4)}"
    replicas = [MongoStore(mongodb_url, database) for _ in range(6)]
    specs = [CollectionSpec(f"c{number}", indexes=(Index("a"), Index("b", unique=True))) for number in range(12)]
    await asyncio.gather(*(replica.start(specs) for replica in replicas))
    for replica in replicas:
        await replica.close()
