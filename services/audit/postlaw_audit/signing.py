"""The log's signing key: Ed25519, made once, wrapped by the root key, in the service's own database."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postlaw_audit.notes import verifier_key
from postlaw_common.keys import RootKey
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec

LOG_KEYS = CollectionSpec("log_keys")
_ID, _PURPOSE = "checkpoint/1", "audit/checkpoint/1"


async def signing_key(collection: Collection, root: RootKey, origin: str) -> Ed25519PrivateKey:
    """The key, made by whoever comes first. Its public half stands beside it in note format, for verifiers."""
    document = await collection.get(_ID)
    if document is None:
        key = Ed25519PrivateKey.generate()
        wrapped = await root.wrap(key.private_bytes_raw(), purpose=_PURPOSE)
        try:
            await collection.insert({"_id": _ID, "wrapped": wrapped, "verifier": verifier_key(origin, key.public_key().public_bytes_raw())})
            return key
        except AlreadyExists:
            document = await collection.get(_ID, linearizable=True)
    assert document is not None
    return Ed25519PrivateKey.from_private_bytes(await root.unwrap(document["wrapped"], purpose=_PURPOSE))


class Signer:
    """Holds the key once `start` has fetched it."""

    def __init__(self, collection: Callable[[], Collection], root: RootKey, origin: str) -> None:
        self._open, self._root, self._origin = collection, root, origin
        self.key: Ed25519PrivateKey | None = None

    async def start(self) -> None:
        self.key = await signing_key(self._open(), self._root, self._origin)

    def verifier(self) -> str:
        assert self.key is not None
        return verifier_key(self._origin, self.key.public_key().public_bytes_raw())
