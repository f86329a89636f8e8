"""What the root key's file and the blobs' files keep to beyond their ports' contracts."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from postlaw_common.blobs import BlobsUnavailable
from postlaw_common.blobs.embedded import EmbeddedBlobs
from postlaw_common.keys import KeysUnavailable
from postlaw_common.keys.embedded import FileRootKey


async def test_the_root_keys_file_is_its_owners_alone(tmp_path: Path) -> None:
    await FileRootKey(str(tmp_path)).start()
    assert (tmp_path / "root-key.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "root-key.json").chmod(0o640)
    with pytest.raises(KeysUnavailable, match=r"can be read by others \(mode 0640\): chmod 600") as refused:
        await FileRootKey(str(tmp_path)).start()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "{}", "[]", "not json", '{"1": "abcd"}', '{"1": 5}', '{"x": "00"}'])
async def test_a_damaged_root_key_is_never_replaced_by_a_fresh_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "root-key.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeysUnavailable, match="damaged: restore it from a backup"):
        await FileRootKey(str(tmp_path)).start()
    assert path.read_text() == text


async def test_a_state_directory_that_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeysUnavailable, match="cannot use"):
        await FileRootKey(str(tmp_path / "file")).start()
    with pytest.raises(BlobsUnavailable, match="cannot use"):
        await EmbeddedBlobs(str(tmp_path / "file")).start()


async def test_what_a_crash_left_half_written_is_swept_and_never_seen(tmp_path: Path) -> None:
    blobs = EmbeddedBlobs(str(tmp_path))
    await blobs.start()
    half, young = (tmp_path / "blobs" / "parts" / name for name in ("half", "young"))
    half.write_bytes(b"half")
    two_hours_ago = time.time() - 7200
    os.utime(half, (two_hours_ago, two_hours_ago))
    young.write_bytes(b"another process is writing it")
    await blobs.start()
    assert [key async for key in blobs.keys("")] == []
    assert os.listdir(tmp_path / "blobs" / "parts") == ["young"]


async def test_a_stream_that_fails_leaves_no_part_behind(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"part"
        raise RuntimeError("the sender went away")

    blobs = EmbeddedBlobs(str(tmp_path))
    await blobs.start()
    with pytest.raises(RuntimeError):
        await blobs.put_stream("a", chunks())
    assert os.listdir(tmp_path / "blobs" / "parts") == []


async def test_retention_that_has_lapsed_lets_go(tmp_path: Path) -> None:
    blobs = EmbeddedBlobs(str(tmp_path))
    await blobs.start()
    await blobs.put("a/b", b"1", retain_until=datetime.now(UTC) - timedelta(seconds=1))
    await blobs.put("a/b", b"2")
    await blobs.delete("a/b")
    assert await blobs.get("a/b") is None
    assert not (tmp_path / "blobs" / "retention" / "a" / "b").exists()
