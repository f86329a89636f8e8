"""The ring of signing keys in the store, one document; and the signer that every instance makes of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postlaw_common.bus import Record
from postlaw_common.errors import Unavailable
from postlaw_common.ids import new_id
from postlaw_common.keys import RootKey
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, StoreUnavailable
from postlaw_identity.domain.key_ring import CLOCKS_DIFFER_US, RING_KNOWN_US, KeyRing, SigningKey, first_ring

SIGNING_KEYS = CollectionSpec("signing_keys", (OUTBOX_INDEX,))
_ID = "ring"


class SigningKeys:
    def __init__(self, collection: Callable[[], Collection], root: RootKey, outbox: Outbox, now_us: Callable[[], int]) -> None:
        self._open = collection
        self._root = root
        self._outbox = outbox
        self._now_us = now_us
        self._ring: tuple[KeyRing, int] | None = None  # with when it was read
        self._private: dict[str, Ed25519PrivateKey] = {}

    async def make(self, *, not_before_us: int, signs_from_us: int) -> SigningKey:
        """A new key, in no ring yet."""
        key_id, seed = new_id("sgk"), os.urandom(32)
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        wrapped = await self._root.wrap(seed, purpose=_purpose(key_id))
        return SigningKey(key_id, public, wrapped, not_before_us, signs_from_us)

    async def ensure(self, announce: Callable[[KeyRing], Record]) -> None:
        """Makes the first ring of this installation, unless there is one. Run at start."""
        if await self._open().get(_ID) is None:
            now = self._now_us()
            ring = first_ring(await self.make(not_before_us=now - CLOCKS_DIFFER_US, signs_from_us=now))
            document = add_to_outbox(_to_document(ring), [announce(ring)])
            with suppress(AlreadyExists):  # another instance was first
                await self._open().insert(document)
                await self._outbox.publish_after_write(self._open(), document)

    async def ring(self) -> KeyRing:
        """The ring, at most ten seconds old; older only while the store is away, since keys hold for longer than that."""
        now = self._now_us()
        if self._ring is None or self._ring[1] + RING_KNOWN_US <= now:
            try:
                self._ring = ((await self.read())[0], now)
            except StoreUnavailable:
                if self._ring is None:
                    raise
        return self._ring[0]

    async def read(self) -> tuple[KeyRing, Document]:
        """The ring as it stands now, with its document as read, for `replace`."""
        document = await self._open().get(_ID, linearizable=True)
        if document is None:
            raise Unavailable("Identity has no signing key yet. Try again.", retry_after_s=1.0)
        keys = tuple(SigningKey(**key) for key in document["keys"])
        return KeyRing(keys, document["revision"]), document

    async def replace(self, ring: KeyRing, read: Document, announcement: Record) -> None:
        """Raises VersionConflict where somebody wrote in between."""
        document = add_to_outbox({**read, **_to_document(ring)}, [announcement])
        written = await self._open().replace(document, version=read["v"])
        self._ring = (ring, self._now_us())
        self._private = {key.key_id: self._private[key.key_id] for key in ring.keys if key.key_id in self._private}
        await self._outbox.publish_after_write(self._open(), written)

    async def signer(self) -> tuple[str, Ed25519PrivateKey]:
        """The id and private key of whichever key signs now."""
        key = (await self.ring()).signer(self._now_us())
        private = self._private.get(key.key_id)
        if private is None:
            seed = await self._root.unwrap(key.wrapped, purpose=_purpose(key.key_id))
            private = self._private[key.key_id] = Ed25519PrivateKey.from_private_bytes(seed)
        return key.key_id, private


def _purpose(key_id: str) -> str:
    return f"identity/signing-key/{key_id}"


def _to_document(ring: KeyRing) -> Document:
    return {"_id": _ID, "revision": ring.version, "keys": [asdict(key) for key in ring.keys]}
