"""Sealing with a place bound to it; keys of each customer, wrapped by the root."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postlaw_common.crypto import OVERHEAD_BYTES, SealBroken, Sealer, open_sealed, seal
from postlaw_common.keys import RootKey, UnwrapRefused, open_root_key
from postlaw_common.keys.customer import CUSTOMER_KEYS, CustomerKeys
from postlaw_common.store import Store, open_store
from postlaw_common.testing.promises import promise

KEY = bytes(range(32))


@given(st.binary(max_size=300), st.binary(min_size=1, max_size=40))
def test_what_was_sealed_opens_at_its_place_alone(plaintext: bytes, aad: bytes) -> None:
    sealed = seal(KEY, plaintext, aad)
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES
    assert open_sealed(KEY, sealed, aad) == plaintext
    assert Sealer(KEY).open(sealed, aad) == plaintext
    with pytest.raises(SealBroken):
        open_sealed(KEY, sealed, aad + b"x")
    with pytest.raises(SealBroken):
        open_sealed(bytes(32), sealed, aad)


@given(st.binary(max_size=60), st.data())
def test_a_changed_byte_is_noticed(plaintext: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, plaintext, b"place"))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        open_sealed(KEY, bytes(sealed), b"place")
    with pytest.raises(SealBroken):
        open_sealed(KEY, bytes(sealed[:at]), b"place")


def test_sealing_asks_for_a_place_and_a_whole_key_and_never_repeats_a_nonce() -> None:
    with pytest.raises(ValueError, match="associated data"):
        seal(KEY, b"x", b"")
    with pytest.raises(ValueError, match="32 bytes"):
        seal(KEY[:16], b"x", b"place")
    assert len({seal(KEY, b"x", b"place")[:12] for _ in range(1000)}) == 1000


@pytest.fixture
async def root(tmp_path: Path) -> AsyncIterator[RootKey]:
    key = open_root_key("file:", state=str(tmp_path / "keys"))
    await key.start()
    yield key
    await key.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store("sqlite:", "service", state=str(tmp_path))
    await opened.start([CUSTOMER_KEYS])
    yield opened
    await opened.close()


@promise("X2")
async def test_each_customer_and_purpose_has_a_key_of_its_own_that_stays(root: RootKey, store: Store) -> None:
    keys = CustomerKeys(store, root)
    found = {place: await keys.get(*place) for place in (("ten_a", "x"), ("ten_a", "y"), ("ten_b", "x"))}
    assert len({key for _, key in found.values()}) == 3
    assert all(version == 1 and len(key) == 32 for version, key in found.values())
    again = CustomerKeys(store, root)
    assert {place: await again.get(*place) for place in found} == found
    documents = [document async for page in store.collection(CUSTOMER_KEYS.name).scan() for document in page]
    assert all(key not in document["wrapped"] for _, key in found.values() for document in documents)


async def test_whoever_asks_first_makes_the_key_and_all_get_the_same(root: RootKey, store: Store) -> None:
    several = [CustomerKeys(store, root) for _ in range(8)]
    found = await asyncio.gather(*(keys.get("ten_a", "x") for keys in several))
    assert len(set(found)) == 1


async def test_a_rotation_adds_a_version_and_older_ones_stay_readable(root: RootKey, store: Store) -> None:
    keys = CustomerKeys(store, root)
    first = await keys.get("ten_a", "x")
    assert await keys.rotate("ten_a", "x") == 2
    newest = await keys.get("ten_a", "x")
    assert newest[0] == 2
    assert newest[1] != first[1]
    assert await keys.get("ten_a", "x", 1) == first
    assert await CustomerKeys(store, root).get("ten_a", "x") == newest
    with pytest.raises(KeyError):
        await keys.get("ten_a", "x", 3)


async def test_a_wrapped_key_moved_to_another_customer_is_refused(root: RootKey, store: Store) -> None:
    keys = CustomerKeys(store, root)
    await keys.get("ten_a", "x")
    await keys.get("ten_b", "x")
    collection = store.collection(CUSTOMER_KEYS.name)
    ours, theirs = await collection.get("ten_a/x/000001"), await collection.get("ten_b/x/000001")
    assert ours is not None
    assert theirs is not None
    await collection.replace({**theirs, "wrapped": ours["wrapped"]}, version=theirs["v"])
    with pytest.raises(UnwrapRefused):
        await CustomerKeys(store, root).get("ten_b", "x")
