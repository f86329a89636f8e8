"""The embedded root key: a file of mode 0600 with every version of the key; wraps are AES-256-GCM."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postlaw_common.keys import KeysUnavailable, UnwrapRefused
from postlaw_common.sqlite import in_one_line, make_directory

NONCE = 12
VERSION_BYTES = 4


class FileRootKey:
    """`state`/root-key.json holds 32-byte keys by version, the newest used to wrap.

    A wrap is: 4 bytes version, 12 bytes nonce, the sealed key; version and purpose are its associated data.
    """

    def __init__(self, state: str) -> None:
        self._path = Path(state) / "root-key.json"
        self._keys: dict[int, AESGCM] = {}
        self._raw: dict[int, bytes] = {}

    async def start(self) -> None:
        """Reads the file, or makes it with a fresh key. Raises KeysUnavailable with one clear line."""
        try:
            await asyncio.to_thread(self._read_or_make)
        except OSError as error:
            raise KeysUnavailable(in_one_line(self._path, error)) from error

    def _read_or_make(self) -> None:
        make_directory(self._path.parent)
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._write({1: os.urandom(32)})
            return
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeysUnavailable(f"{self._path} can be read by others (mode {stat.S_IMODE(status.st_mode):04o}): chmod 600 it")
        try:
            raw = {int(version): bytes.fromhex(key) for version, key in json.loads(self._path.read_text()).items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise KeysUnavailable(f"{self._path} is damaged: restore it from a backup; without it nothing can be opened") from error
        if not raw or any(len(key) != 32 for key in raw.values()):
            raise KeysUnavailable(f"{self._path} is damaged: restore it from a backup; without it nothing can be opened")
        self._learn(raw)

    def _write(self, raw: dict[int, bytes]) -> None:
        part = self._path.with_suffix(".part")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({str(version): key.hex() for version, key in raw.items()}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self._learn(raw)

    def _learn(self, raw: dict[int, bytes]) -> None:
        self._raw = raw
        self._keys = {version: AESGCM(key) for version, key in raw.items()}

    async def wrap(self, key: bytes, *, purpose: str) -> bytes:
        if not self._keys:
            raise KeysUnavailable("the root key is not open")
        version = max(self._keys)
        prefix = version.to_bytes(VERSION_BYTES, "big")
        nonce = os.urandom(NONCE)
        return prefix + nonce + self._keys[version].encrypt(nonce, key, prefix + purpose.encode())

    async def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        prefix, nonce, sealed = wrapped[:VERSION_BYTES], wrapped[VERSION_BYTES : VERSION_BYTES + NONCE], wrapped[VERSION_BYTES + NONCE :]
        root = self._keys.get(int.from_bytes(prefix, "big"))
        if root is None or len(sealed) < 16:
            raise UnwrapRefused(f"the wrapped key for {purpose} is damaged, or its root key is gone")
        try:
            return root.decrypt(nonce, sealed, prefix + purpose.encode())
        except InvalidTag:
            raise UnwrapRefused(f"the wrapped key for {purpose} is damaged, or was wrapped for another purpose") from None

    async def rotate(self) -> int:
        version = max(self._raw, default=0) + 1
        try:
            await asyncio.to_thread(self._write, {**self._raw, version: os.urandom(32)})
        except OSError as error:
            raise KeysUnavailable(in_one_line(self._path, error)) from error
        return version

    async def close(self) -> None:
        self._keys = {}
        self._raw = {}
