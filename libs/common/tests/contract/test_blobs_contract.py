"""What every blob store keeps to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from postlaw_common.blobs import BlobExists, BlobRetained, Blobs

A_DAY_ON = timedelta(days=1)


async def chunks(*parts: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if then is not None:
        raise then


async def test_an_object_comes_back_whole_and_a_missing_one_as_none(blobs: Blobs) -> None:
    await blobs.put("tile/0/000", b"\x00bytes")
    assert (await blobs.get("tile/0/000"), await blobs.size("tile/0/000")) == (b"\x00bytes", 6)
    await blobs.put("tile/0/000", b"")
    assert (await blobs.get("tile/0/000"), await blobs.size("tile/0/000")) == (b"", 0)
    assert (await blobs.get("tile/0/001"), await blobs.size("tile/0/001"), await blobs.get("tile")) == (None, None, None)


async def test_if_absent_refuses_what_is_there_and_leaves_it(blobs: Blobs) -> None:
    await blobs.put("checkpoint", b"first", if_absent=True)
    with pytest.raises(BlobExists):
        await blobs.put("checkpoint", b"second", if_absent=True)
    assert await blobs.get("checkpoint") == b"first"


async def test_what_is_retained_is_neither_removed_nor_changed(blobs: Blobs) -> None:
    await blobs.put("audit/1", b"kept", retain_until=datetime.now(UTC) + A_DAY_ON)
    with pytest.raises(BlobRetained):
        await blobs.delete("audit/1")
    with pytest.raises(BlobRetained):
        await blobs.put("audit/1", b"changed")
    with pytest.raises(BlobRetained):
        await blobs.put_stream("audit/1", chunks(b"changed"))
    assert await blobs.get("audit/1") == b"kept"


async def test_retention_outlives_a_restart(new_blobs: Callable[[], Awaitable[Blobs]]) -> None:
    first = await new_blobs()
    await first.put("audit/2", b"kept", retain_until=datetime.now(UTC) + A_DAY_ON)
    await first.close()
    with pytest.raises(BlobRetained):
        await (await new_blobs()).delete("audit/2")


async def test_nothing_is_retained_that_nobody_asked_for(blobs: Blobs) -> None:
    assert await blobs.default_retention() is None


async def test_what_is_not_retained_is_deleted_and_may_come_again(blobs: Blobs) -> None:
    await blobs.put("report", b"one")
    await blobs.put("report", b"two")
    await blobs.delete("report")
    await blobs.delete("report")
    assert await blobs.get("report") is None
    await blobs.put("report", b"three", if_absent=True)
    assert await blobs.get("report") == b"three"


async def test_a_stream_is_stored_whole_beyond_one_part(blobs: Blobs) -> None:
    part = bytes(range(256)) * 8192
    assert await blobs.put_stream("export/large", chunks(*[part] * 6, b"end")) == 6 * len(part) + 3
    assert await blobs.size("export/large") == 6 * len(part) + 3
    assert await blobs.get("export/large") == part * 6 + b"end"
    assert b"".join([c async for c in blobs.stream("export/large", start=len(part) * 5)]) == part + b"end"
    assert await blobs.put_stream("export/empty", chunks()) == 0
    assert await blobs.get("export/empty") == b""


async def test_a_stream_that_fails_leaves_what_was_there(blobs: Blobs) -> None:
    await blobs.put("export/a", b"before")
    for key in ("export/a", "export/b"):
        with pytest.raises(RuntimeError, match="the sender went away"):
            await blobs.put_stream(key, chunks(b"x" * 1000, then=RuntimeError("the sender went away")))
    assert (await blobs.get("export/a"), await blobs.get("export/b")) == (b"before", None)
    assert [key async for key in blobs.keys("export/")] == ["export/a"]


async def test_reading_in_chunks_begins_where_it_is_told(blobs: Blobs) -> None:
    await blobs.put("x", b"0123456789")
    assert [c async for c in blobs.stream("x", start=4, chunk_size=3)] == [b"456", b"789"]
    assert [c async for c in blobs.stream("x", start=10)] == []
    with pytest.raises(KeyError):
        _ = [c async for c in blobs.stream("nothing")]


async def test_keys_are_listed_ascending_by_prefix(blobs: Blobs) -> None:
    for key in ("b/2", "a/1", "b/10", "b/1/x", "ba", "c"):
        await blobs.put(key, b"")
    assert [key async for key in blobs.keys("b/")] == ["b/1/x", "b/10", "b/2"]
    assert [key async for key in blobs.keys("b")] == ["b/1/x", "b/10", "b/2", "ba"]
    assert [key async for key in blobs.keys("")] == ["a/1", "b/1/x", "b/10", "b/2", "ba", "c"]
    assert [key async for key in blobs.keys("nothing/")] == []


@pytest.mark.parametrize("key", ["", "/etc/passwd", "a/../b", "..", "a//b", "a/", "ä", "a b", "a\n"])
async def test_what_is_no_key_is_refused(blobs: Blobs, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        await blobs.put(key, b"")
    with pytest.raises(ValueError, match="not a key"):
        await blobs.get(key)
