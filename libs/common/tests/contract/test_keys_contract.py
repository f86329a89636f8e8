"""What every root key keeps to."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import pytest

from postlaw_common.keys import RootKey, UnwrapRefused

NewRootKey = Callable[[], Awaitable[RootKey]]


async def test_a_wrapped_key_comes_back_and_shows_nothing_of_itself(new_root_key: NewRootKey) -> None:
    root = await new_root_key()
    key = os.urandom(32)
    wrapped = await root.wrap(key, purpose="customer/t1")
    assert key not in wrapped
    assert await root.wrap(key, purpose="customer/t1") != wrapped
    assert await root.unwrap(wrapped, purpose="customer/t1") == key


async def test_a_wrap_opens_for_its_own_purpose_alone(new_root_key: NewRootKey) -> None:
    root = await new_root_key()
    wrapped = await root.wrap(os.urandom(32), purpose="customer/t1")
    with pytest.raises(UnwrapRefused):
        await root.unwrap(wrapped, purpose="customer/t2")


async def test_a_damaged_wrap_is_refused(new_root_key: NewRootKey) -> None:
    root = await new_root_key()
    wrapped = await root.wrap(os.urandom(32), purpose="p")
    for position in range(len(wrapped)):
        damaged = bytearray(wrapped)
        damaged[position] ^= 1
        with pytest.raises(UnwrapRefused):
            await root.unwrap(bytes(damaged), purpose="p")
    for length in (0, 1, 10, len(wrapped) - 1):
        with pytest.raises(UnwrapRefused):
            await root.unwrap(wrapped[:length], purpose="p")


async def test_after_a_rotation_older_wraps_stay_readable(new_root_key: NewRootKey) -> None:
    root = await new_root_key()
    keys = [os.urandom(32) for _ in range(3)]
    wraps: list[bytes] = []
    versions: list[int] = []
    for key in keys:
        wraps.append(await root.wrap(key, purpose="p"))
        versions.append(await root.rotate())
    assert versions == [2, 3, 4]
    assert [await root.unwrap(wrapped, purpose="p") for wrapped in wraps] == keys


async def test_wraps_outlive_a_restart(new_root_key: NewRootKey) -> None:
    root = await new_root_key()
    key = os.urandom(32)
    wrapped = await root.wrap(key, purpose="p")
    await root.rotate()
    await root.close()
    assert await (await new_root_key()).unwrap(wrapped, purpose="p") == key
