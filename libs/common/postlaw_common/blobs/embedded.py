"""Embedded blobs: a file an object, written beside and renamed into place; retention in a sidecar, enforced here."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ParamSpec, TypeVar

from postlaw_common.blobs import BlobExists, BlobRetained, BlobsUnavailable, check_key
from postlaw_common.entropy import pieces_of
from postlaw_common.sqlite import in_one_line, make_directory

_name = pieces_of(16)  # of a part
_ABANDONED_S = 3600.0  # nothing was written to it for so long: no write waits like that


class EmbeddedBlobs:
    """Objects below `state`/blobs/objects; `state`/blobs/retention holds, by the same path, the time until which one is kept."""

    def __init__(self, state: str) -> None:
        self._root = Path(state) / "blobs"
        self._objects = self._root / "objects"
        self._retention = self._root / "retention"
        self._parts = self._root / "parts"

    async def start(self) -> None:
        """Raises BlobsUnavailable with one clear line. What a crash left half-written an hour ago is removed."""
        await _off_loop(self._root, self._make)

    def _make(self) -> None:
        for directory in (self._root, self._objects, self._retention, self._parts):
            make_directory(directory)
        # Not the young ones: processes of one machine may share the folder, and one that starts must not take another's away.
        old = time.time() - _ABANDONED_S
        for part in self._parts.iterdir():
            with suppress(FileNotFoundError):
                if part.stat().st_mtime < old:
                    part.unlink()

    def _path(self, key: str) -> Path:
        check_key(key)
        return self._objects / key

    async def put(self, key: str, data: bytes, *, retain_until: datetime | None = None, if_absent: bool = False) -> None:
        path = self._path(key)
        await _off_loop(path, self._put, key, path, data, retain_until, if_absent)

    def _put(self, key: str, path: Path, data: bytes, retain_until: datetime | None, if_absent: bool) -> None:
        # Each step into the system gives the GIL away, and beside a busy loop gets it back up to 5 ms later: no step that is not needed.
        if not if_absent:  # what is there and retained is not hidden by a link either
            self._refuse_retained(key)
        part = self._parts / _name().hex()
        try:
            _write(part, data)
            if retain_until is not None:
                # First, so that a crash in between leaves a retention without an object, never an object without one.
                self._retain(key, retain_until)
            self._appear(part, path, if_absent, key)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _appear(self, part: Path, path: Path, if_absent: bool, key: str) -> None:
        """Moves it to its place, durably."""
        made: list[Path] = []
        try:
            _move(part, path, if_absent, key)
        except FileNotFoundError:
            made = _make_parents(path.parent, self._root)
            _move(part, path, if_absent, key)
        for directory in (path.parent, *made):
            _sync_directory(directory)

    def _retain(self, key: str, until: datetime) -> None:
        sidecar = self._retention / key
        made = _make_parents(sidecar.parent, self._root)
        part = self._parts / _name().hex()
        _write(part, until.astimezone(UTC).isoformat().encode())
        part.replace(sidecar)
        for directory in (sidecar.parent, *made):
            _sync_directory(directory)

    def _refuse_retained(self, key: str) -> None:
        try:
            until = datetime.fromisoformat((self._retention / key).read_text())
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        if until > datetime.now(UTC) and (self._objects / key).exists():
            raise BlobRetained(f"{key} is kept until {until.isoformat()}")

    async def put_stream(self, key: str, chunks: AsyncIterable[bytes]) -> int:
        path = self._path(key)
        part = self._parts / _name().hex()
        size = 0
        try:
            file = await _off_loop(part, part.open, "xb")
            try:
                async for chunk in chunks:
                    await _off_loop(part, file.write, chunk)
                    size += len(chunk)
                await _off_loop(part, file.flush)
                await _off_loop(part, os.fsync, file.fileno())
            finally:
                file.close()
            await _off_loop(path, self._refuse_retained, key)
            await _off_loop(path, self._appear, part, path, False, key)
        finally:
            part.unlink(missing_ok=True)
        return size

    async def get(self, key: str) -> bytes | None:
        path = self._path(key)
        try:
            return await _off_loop(path, path.read_bytes)
        except KeyError:
            return None

    async def stream(self, key: str, *, start: int = 0, chunk_size: int = 1 << 18) -> AsyncIterator[bytes]:
        path = self._path(key)
        file = await _off_loop(path, path.open, "rb")
        try:
            file.seek(start)
            while chunk := await _off_loop(path, file.read, chunk_size):
                yield chunk
        finally:
            file.close()

    async def size(self, key: str) -> int | None:
        path = self._path(key)
        try:
            return (await _off_loop(path, path.stat)).st_size if await _off_loop(path, path.is_file) else None
        except KeyError:
            return None

    async def delete(self, key: str) -> None:
        path = self._path(key)
        await _off_loop(path, self._delete, key, path)

    def _delete(self, key: str, path: Path) -> None:
        self._refuse_retained(key)
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return
        _sync_directory(path.parent)
        (self._retention / key).unlink(missing_ok=True)

    async def default_retention(self) -> timedelta | None:
        return None

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        found = await _off_loop(self._objects, self._list, prefix)
        for key in found:
            yield key

    def _list(self, prefix: str) -> list[str]:
        found: list[str] = []
        folder = self._objects / prefix.rpartition("/")[0]
        for directory, _, names in os.walk(folder):
            inside = Path(directory).relative_to(self._objects).as_posix()
            found += [name if inside == "." else f"{inside}/{name}" for name in names]
        return sorted(key for key in found if key.startswith(prefix))

    async def close(self) -> None:
        return None


def _move(part: Path, path: Path, if_absent: bool, key: str) -> None:
    """`if_absent`: raises BlobExists where there is one, and leaves the part."""
    if not if_absent:
        part.replace(path)
        return
    try:
        os.link(part, path)  # atomic, and fails where there is one
    except FileExistsError:
        raise BlobExists(key) from None
    part.unlink()


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_parents(directory: Path, root: Path) -> list[Path]:
    """Makes what is missing; returns the directories that got a new entry, to be synced."""
    changed: list[Path] = []
    missing = directory
    while missing != root and not missing.is_dir():
        changed.append(missing.parent)
        missing = missing.parent
    directory.mkdir(parents=True, exist_ok=True)
    return changed


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


P = ParamSpec("P")
T = TypeVar("T")


async def _off_loop(path: Path, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Files block: never on the event loop. No such file → KeyError; anything else of the system → BlobsUnavailable."""
    try:
        return await asyncio.to_thread(call, *args, **kwargs)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise KeyError(path.name) from error
    except OSError as error:
        raise BlobsUnavailable(in_one_line(path, error)) from error
