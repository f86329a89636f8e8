"""Links to people's own details as documents: durable before they are answered, mailed after, used once, forgotten when they have lapsed.

A new address stands sealed under a platform key: it is nobody's yet who had a key of their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Literal

from postlaw_common.crypto import open_sealed, seal
from postlaw_common.keys.platform import SIGN_UPS as SEALING_KEY
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_consent.by_day import day_of, forget_old
from postlaw_consent.domain.profile_link import ProfileLink
from postlaw_consent.domain.scope import scope_of

PROFILE_LINKS = CollectionSpec("profile_links", (Index("open"), Index("day")))

Taken = Literal["now", "begun", "done", "no"]
"""now: by this call; begun: for the same use before, which may not have happened; done: and it has; no: for another use."""

_OPEN = "1"
_BEGUN, _DONE = b"b", b"d"
_AGAIN: dict[bytes, Taken] = {_BEGUN: "begun", _DONE: "done"}

Key = Callable[[str], Awaitable[bytes]]


class ProfileLinks:
    """`open` are those whose mail is still to be sent. `key`: a platform key by its name."""

    def __init__(self, collection: Callable[[], Collection], key: Key) -> None:
        self._collection = collection
        self._key = key

    async def begin(self, link: ProfileLink) -> None:
        """Durable when it returns. The same again changes nothing."""
        document: Document = {
            "_id": link.id,
            "open": _OPEN,
            "day": day_of(link.expires_us),
            "kind": link.kind,
            "tenant": link.tenant_id,
            "person": link.address_key,
            "scope": link.scope.key,
            "campaign": link.campaign_id,
            "language": link.language,
            "at": link.at_us,
            "subscriber": link.subscriber_id,
            "sealed": seal(await self._key(SEALING_KEY), link.address.encode(), _place(link.id)),
            "used": b"",
            "tries": link.tries,
            "due": link.due_us,
        }
        with suppress(AlreadyExists):
            await self._collection().insert(document)

    async def get(self, id: str) -> ProfileLink | None:
        document = await self._collection().get(id, linearizable=True)
        return await self._link(document) if document else None

    async def open(self, *, after: str = "", limit: int = 100) -> Sequence[ProfileLink]:
        """A page of them, the oldest first."""
        return [await self._link(document) for document in await self._collection().find("open", _OPEN, after=after, limit=limit)]

    async def end(self, id: str) -> None:
        """Its mail is sent, or never will be."""
        while (document := await self._collection().get(id, linearizable=True)) is not None and "open" in document:
            with suppress(VersionConflict):  # it was used meanwhile
                await self._collection().replace({name: value for name, value in document.items() if name != "open"}, version=document["v"])

    async def put_off(self, link: ProfileLink, due_us: int) -> None:
        """Its mail failed, and is tried again then. Nothing where somebody else has it."""
        document = await self._collection().get(link.id)
        if document is not None:
            with suppress(VersionConflict):
                await self._collection().replace(document | {"tries": link.tries + 1, "due": due_us}, version=link.version)

    async def take(self, link: ProfileLink, use: bytes) -> Taken:
        """Takes it for this use, of which it is the hash, unless it was taken before."""
        while (document := await self._collection().get(link.id, linearizable=True)) is not None:
            if document["used"]:
                return _AGAIN.get(document["used"][:1], "no") if document["used"][1:] == use else "no"
            if await self._use(document, _BEGUN + use):
                return "now"
        return "no"

    async def done(self, link: ProfileLink, use: bytes) -> None:
        """What it was taken for has happened: it does not happen again."""
        await self._after(link, use, _DONE + use)

    async def give_back(self, link: ProfileLink, use: bytes) -> None:
        """What it was taken for came to nothing."""
        await self._after(link, use, b"")

    async def forget(self, now_us: int) -> None:
        """Drops what has lapsed."""
        await forget_old(self._collection(), now_us)

    async def _after(self, link: ProfileLink, use: bytes, used: bytes) -> None:
        while (document := await self._collection().get(link.id, linearizable=True)) is not None:
            if document["used"] != _BEGUN + use or await self._use(document, used):
                return

    async def _use(self, document: Document, used: bytes) -> bool:
        try:
            await self._collection().replace(document | {"used": used}, version=document["v"])
        except VersionConflict:
            return False
        return True

    async def _link(self, document: Document) -> ProfileLink:
        sealed = open_sealed(await self._key(SEALING_KEY), document["sealed"], _place(document["_id"]))
        link = ProfileLink(
            id=document["_id"],
            kind=document["kind"],
            tenant_id=document["tenant"],
            address_key=document["person"],
            scope=scope_of(document["scope"]),
            campaign_id=document["campaign"],
            language=document["language"],
            at_us=document["at"],
            subscriber_id=document["subscriber"],
            address=sealed.decode(),
        )
        return replace(link, used=document["used"], tries=document["tries"], due_us=document["due"], version=document.get("v", 1))


def _place(id: str) -> bytes:
    return f"profile-link/{id}".encode()
