"""`Idempotency-Key`: a POST that succeeded is answered again from what was stored, for 24 hours, and not done again.

A key counts within (tenant, credential, route). Only successes are stored: what failed may be tried again with the same key.
Answers hold personal data, so they are sealed under the customer's key; keys and bodies are kept as keyed hashes only.

Between the deed and the note a gateway can die, or an answer be lost on its way from the service. So each key stands for one
`deed` from its first use until it expires, and the service is told its name: whoever does the deed again under it is answered with
what was done (postlaw_common.made_once).
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from postlaw_common.caller import Caller
from postlaw_common.crypto import open_sealed, seal
from postlaw_common.errors import Conflict, Invalid, KeyReused
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_common.store.bulk import bulk_delete
from postlaw_gateway.answers import Answer

IDEMPOTENCY_KEYS = CollectionSpec("idempotency_keys", (Index("hour"),))

KEPT_US = 24 * 3600 * 1_000_000
LEASE_US = 60 * 1_000_000  # a request under way says so again before this ends; a dead gateway does not
_HOUR_US = 3600 * 1_000_000


class Fingerprint:
    """A keyed hash of a request, fed piece by piece: its verb, path, query and body."""

    def __init__(self, key: bytes, *head: bytes) -> None:
        self._hash = hashlib.blake2b(key=key, digest_size=32)
        for part in head:
            self._hash.update(len(part).to_bytes(8, "big") + part)

    def feed(self, body: bytes) -> None:
        self._hash.update(body)

    def value(self) -> bytes:
        return self._hash.digest()


@dataclass(slots=True)
class Claim:
    """This request is the one that does the work. Ends with `keep` or `release`. `stored`: the work was done before."""

    document: Document
    fingerprint: Fingerprint
    stored: bool

    @property
    def deed(self) -> str:
        """The key that the service gets: 32 characters, the same until this one expires."""
        return self.document["deed"]


class IdempotencyKeys:
    def __init__(self, collection: Callable[[], Collection], keys: Callable[[], CustomerKeys], now_us: Callable[[], int]) -> None:
        self._collection = collection
        self._keys = keys
        self._now_us = now_us

    async def claim(self, caller: Caller, route: str, key: str, *request: bytes) -> Claim:
        """`route` as in the table, `request` the parts that make it what it is. Raises Conflict while another is under way."""
        _, index_key = await self._keys().get(caller.tenant_id, "idempotency-index")
        place = "\0".join((caller.tenant_id, caller.credential_id, route, checked_key(key))).encode()
        id = hashlib.blake2b(place, key=index_key, digest_size=24).hexdigest()
        fingerprint = Fingerprint(index_key, *request)
        now = self._now_us()
        fresh: Document = {
            "_id": id, "state": "under_way", "lease_us": now + LEASE_US, "expires_us": now + KEPT_US, "hour": _hour(now + KEPT_US),
            "deed": os.urandom(16).hex(),
        }  # fmt: skip
        for _ in range(5):
            try:
                await self._collection().insert(dict(fresh))
                return Claim({**fresh, "v": 1}, fingerprint, stored=False)
            except AlreadyExists:
                found = await self._collection().get(id, linearizable=True)
            if found is None:
                continue
            expired = found["expires_us"] <= now
            if found["state"] == "done" and not expired:
                return Claim(found, fingerprint, stored=True)
            if found["state"] == "under_way" and found["lease_us"] > now:
                break
            try:
                again = fresh if expired else {**fresh, "deed": found["deed"]}
                taken = await self._collection().replace(again, version=found["v"])
                return Claim(taken, fingerprint, stored=False)
            except VersionConflict:
                continue
        raise Conflict("A request with this Idempotency-Key is under way.", type="idempotency-key-under-way", retry_after_s=1)

    async def replay(self, caller: Caller, claim: Claim) -> Answer:
        """The stored answer, once the whole request was fed to the fingerprint. Raises KeyReused for another request."""
        if claim.fingerprint.value() != claim.document["fingerprint"]:
            raise KeyReused("This Idempotency-Key came with another body, path or query before. Use a new key for a new request.")
        _, key = await self._keys().get(caller.tenant_id, "idempotency", claim.document["key_version"])
        stored: dict[str, Any] = msgspec.json.decode(open_sealed(key, claim.document["sealed"], _place(caller, claim)))
        headers = [(name.encode(), value.encode()) for name, value in stored["headers"]]
        headers.append((b"idempotency-replayed", b"true"))
        return Answer(stored["status"], headers, base64.b64decode(stored["body"]))

    async def renew(self, claim: Claim) -> None:
        """The work goes on (an upload can take hours)."""
        document = {**claim.document, "lease_us": self._now_us() + LEASE_US}
        claim.document = await self._collection().replace(document, version=claim.document["v"])

    async def keep(self, caller: Caller, claim: Claim, answer: Answer) -> None:
        version, key = await self._keys().get(caller.tenant_id, "idempotency")
        plain = msgspec.json.encode(
            {
                "status": answer.status,
                "headers": [(name.decode(), value.decode()) for name, value in answer.headers],
                "body": base64.b64encode(answer.body).decode(),
            }
        )
        document: Document = {
            **claim.document,
            "state": "done",
            "fingerprint": claim.fingerprint.value(),
            "key_version": version,
            "sealed": seal(key, plain, _place(caller, claim)),
        }
        claim.document = await self._collection().replace(document, version=claim.document["v"])

    async def release(self, claim: Claim) -> None:
        """Nothing was done, as far as we know: the key is free again, for the same deed."""
        await self._collection().replace({**claim.document, "state": "free"}, version=claim.document["v"])

    async def sweep(self) -> int:
        """Deletes what has expired, an hour's worth at a time; returns how many. To be called at least hourly."""
        gone = 0
        hour = _HOUR_US
        for age in range(1, 49):
            gone += await bulk_delete(self._collection(), "hour", _hour(self._now_us() - age * hour))
        return gone


def checked_key(key: str) -> str:
    """The key, with or without the quotes that the IETF's draft puts around it. Raises Invalid."""
    plain = key[1:-1] if len(key) > 2 and key[0] == key[-1] == '"' else key
    if not 1 <= len(plain) <= 255 or not plain.isascii() or not plain.isprintable():
        raise Invalid("Idempotency-Key must have 1 to 255 printable ASCII characters.")
    return plain


def _place(caller: Caller, claim: Claim) -> bytes:
    return f"gateway/idempotency/{caller.tenant_id}/{claim.document['_id']}".encode()


def _hour(us: int) -> str:
    return str(us // _HOUR_US)
