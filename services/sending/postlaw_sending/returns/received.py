"""What came back, as documents: durable before its sender is told 250, sealed until it is acted on, and afterwards only that it came.

`_id` is made of whose message it is about, or by which token, and of the mail's own Message-ID, so a server that never heard our
250 and sends it again changes nothing: also weeks later, as long as servers try.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import Final, Protocol

import msgspec

from postlaw_common.crypto import open_sealed, seal
from postlaw_common.ids import new_id
from postlaw_common.keys.platform import RETURNED_MAIL
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_sending.returns.days import day_of, forget_old
from postlaw_sending.returns.notices import Notice
from postlaw_sending.returns.proofs import Proof
from postlaw_sending.returns.reading import LARGEST

RECEIVED: Final = CollectionSpec("returned_mail", (Index("open"), Index("done_on"), Index("held_for")))
ANSWERS: Final = CollectionSpec("answers", RECEIVED.indexes)
KEPT_DAYS: Final = 14  # no server tries longer (RFC 5321 §4.5.4.1 says four to five days)

_packed = msgspec.msgpack.Encoder().encode
_unpacked = msgspec.msgpack.Decoder(tuple[Proof | Notice, bytes]).decode
_OPEN: Final = "1"
_LONGEST_ID: Final = 998


class Keys(Protocol):
    """The part of PlatformKeys that is used here."""

    async def get(self, name: str, version: int = 1, *, create: bool = True) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Mail:
    """One that waits. `event_id`: of the one event that it makes, however often it is acted on. `content`: its first megabyte, nothing
    of a notice. `released`: it was held back, and is no more."""

    id: str
    version: int
    about: Proof | Notice
    event_id: str
    received_at_us: int
    content: bytes
    released: bool


class Received:
    """`collection`: `returned_mail` of the database `sending`, or `answers`, of what is to be passed on."""

    def __init__(self, collection: Callable[[], Collection], keys: Keys, now_us: Callable[[], int]) -> None:
        self._open = collection
        self._keys = keys
        self.now_us = now_us

    async def take(self, about: Proof, content: bytes) -> None:
        """Durable when it returns; a repeat changes nothing. Raises StoreUnavailable, KeysUnavailable."""
        key = await self._keys.get(RETURNED_MAIL)
        with suppress(AlreadyExists):
            await self._open().insert(self._document(key, about, content))

    async def take_notices(self, notices: Sequence[Notice]) -> None:
        """As `take`, of many."""
        key = await self._keys.get(RETURNED_MAIL)
        documents = {document["_id"]: document for document in (self._document(key, notice, b"") for notice in notices)}
        await self._open().insert_many([*documents.values()])  # those that are there already stay as they are

    def _document(self, key: bytes, about: Proof | Notice, content: bytes) -> Document:
        id = _identity(about, content)
        return {
            "_id": id,
            "open": _OPEN,
            "event_id": new_id("evt"),
            "received_us": self.now_us(),
            "mail": seal(key, _packed((about, content[:LARGEST])), _place(id)),
        }

    async def waiting(self) -> AsyncIterator[Mail]:
        """All that nothing has yet been done about. Raises StoreUnavailable, KeysUnavailable."""
        key = await self._keys.get(RETURNED_MAIL)
        async for page in self._open().scan("open", _OPEN):
            for document in page:
                yield _mail(document, open_sealed(key, document["mail"], _place(document["_id"])))

    async def hold(self, mail: Mail, provider: str) -> None:
        """It waits for `release`."""
        document = await self._open().get(mail.id, linearizable=True)
        if document is not None:
            with suppress(VersionConflict):  # another process is at it as well, to the same effect
                await self._open().replace(document | {"open": None, "held_for": provider}, version=mail.version)

    async def held(self, provider: str) -> int:
        """How many wait for it."""
        return await self._open().count("held_for", provider)

    async def release(self, provider: str) -> int:
        """They are acted on from now on; returns how many."""
        released = 0
        async for page in self._open().scan("held_for", provider):
            for document in page:
                with suppress(VersionConflict):
                    await self._open().replace(document | {"open": _OPEN, "held_for": None, "released": True}, version=document["v"])
                    released += 1
        return released

    async def done(self, mail: Mail) -> None:
        """Its effect is durable elsewhere: of the mail itself nothing is kept."""
        day = day_of(self.now_us())
        try:
            await self._open().replace({"_id": mail.id, "done_on": day}, version=mail.version)
        except VersionConflict:
            return  # another process acted on it as well, to the same effect

    async def forget(self) -> int:
        """Removes what was done more than KEPT_DAYS ago, of twice that time; returns how many."""
        return await forget_old(self._open(), "done_on", self.now_us(), KEPT_DAYS)


def _mail(document: Document, packed: bytes) -> Mail:
    about, content = _unpacked(packed)
    return Mail(
        document["_id"], document["v"], about, document["event_id"], document["received_us"], content, document.get("released", False)
    )


def _identity(about: Proof | Notice, content: bytes) -> str:
    """By its Message-ID; by all of it where it has none, or one that cannot be meant."""
    own = BytesHeaderParser().parsebytes(content[:LARGEST].partition(b"\r\n\r\n")[0]).get("Message-ID")
    text = str(own).strip() if own is not None else ""
    meant = text.encode("utf-8", "replace") if "@" in text and len(text) <= _LONGEST_ID else content
    return hashlib.sha256(b"\0".join([_packed(about), meant])).hexdigest()


def _place(id: str) -> bytes:
    return f"returned-mail/{id}".encode()
