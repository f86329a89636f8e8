"""The log's signing keys: Ed25519, each made once, wrapped by the root key, in the service's own database; each but the first with the note
by which it follows the one before it (key_chain.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postlaw_audit.key_chain import succession
from postlaw_audit.notes import Checkpoint, sign, sign_text, verifier_key
from postlaw_common.keys import RootKey
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec

LOG_KEYS = CollectionSpec("log_keys")


class Signer:
    """`numbers`: which of the log's keys sign, ascending; one that is not there yet is made, with those before it. Holds the keys once
    `start` has fetched them."""

    def __init__(self, collection: Callable[[], Collection], root: RootKey, origin: str, numbers: Sequence[int] = (1,)) -> None:
        self._open, self._root, self._origin = collection, root, origin
        self._numbers = sorted(numbers)
        self._signing: list[Ed25519PrivateKey] = []
        self.successions: dict[int, str] = {}  # by number of the key that follows: the note, signed by both

    async def start(self) -> None:
        keys: list[Ed25519PrivateKey] = []
        for number in range(1, self._numbers[-1] + 1):
            keys.append(await self._key(number, keys[-1] if keys else None))
        self._signing = [keys[number - 1] for number in self._numbers]

    async def _key(self, number: int, before: Ed25519PrivateKey | None) -> Ed25519PrivateKey:
        """The key, made by whoever comes first. Its public half stands beside it in note format, for verifiers."""
        id, purpose = f"checkpoint/{number}", f"audit/checkpoint/{number}"
        document = await self._open().get(id)
        if document is None:
            key = Ed25519PrivateKey.generate()
            wrapped = await self._root.wrap(key.private_bytes_raw(), purpose=purpose)
            note = succession(self._origin, before, key) if before is not None else ""
            made: dict[str, Any] = {"_id": id, "wrapped": wrapped, "verifier": self._verifier_of(key), "succession": note}
            try:
                await self._open().insert(made)
                document = made
            except AlreadyExists:
                document = await self._open().get(id, linearizable=True)
        assert document is not None
        if note := document.get("succession", ""):
            self.successions[number] = note
        return Ed25519PrivateKey.from_private_bytes(await self._root.unwrap(document["wrapped"], purpose=purpose))

    def sign(self, checkpoint: Checkpoint) -> str:
        return sign(checkpoint, *self._signing)

    def sign_text(self, text: str) -> str:
        """A note of the log's, signed by the newest key that signs: `verifier`."""
        return sign_text(text, self._origin, self._signing[-1:])

    def verifier(self) -> str:
        """Of the newest key that signs."""
        return self._verifier_of(self._signing[-1])

    def _verifier_of(self, key: Ed25519PrivateKey) -> str:
        return verifier_key(self._origin, key.public_key().public_bytes_raw())
