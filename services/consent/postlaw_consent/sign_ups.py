"""Sign-ups that are still to be carried out: durable before they are answered, gone once they are done.

What the person sent (address, IP address, user agent) is sealed under a platform key until then: the person may have no key yet.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

from postlaw_common.crypto import open_sealed, seal
from postlaw_common.keys.platform import SIGN_UPS as SEALING_KEY
from postlaw_common.store import Collection, CollectionSpec, Document, Index, VersionConflict

SIGN_UPS = CollectionSpec("sign_ups", (Index("open"),))

_OPEN = "1"

Key = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Sent:
    """What came with the form. `held`: what was true of the act and of the page, in the law's words."""

    address: str
    held: tuple[str, ...] = ()
    language: str = ""
    ip: str = ""
    user_agent: str = ""
    method: str = ""


@dataclass(frozen=True, slots=True)
class SignUp:
    """`at_us`: when it came; `due_us`: not to be tried before. Microseconds since the epoch."""

    id: str
    form_id: str
    at_us: int
    sent: Sent
    tries: int = 0
    due_us: int = 0
    version: int = 1


class SignUps:
    """`key`: a platform key by its name."""

    def __init__(self, collection: Callable[[], Collection], key: Key) -> None:
        self._collection = collection
        self._key = key

    async def begin(self, sign_up: SignUp) -> None:
        """Durable when it returns."""
        text = json.dumps(asdict(sign_up.sent)).encode()
        sealed = seal(await self._key(SEALING_KEY), text, _place(sign_up.id))
        document: Document = {"_id": sign_up.id, "open": _OPEN, "form": sign_up.form_id, "at": sign_up.at_us, "sealed": sealed}
        await self._collection().insert(document | {"tries": sign_up.tries, "due": sign_up.due_us})

    async def end(self, id: str) -> None:
        await self._collection().delete(id)

    async def put_off(self, sign_up: SignUp, due_us: int) -> None:
        """It failed, and is tried again then. Nothing where somebody else has it."""
        document = await self._collection().get(sign_up.id)
        if document is None:
            return
        try:
            await self._collection().replace(document | {"tries": sign_up.tries + 1, "due": due_us}, version=sign_up.version)
        except VersionConflict:
            return

    async def open(self, *, after: str = "", limit: int = 100) -> Sequence[SignUp]:
        """A page of them, the oldest first."""
        key = await self._key(SEALING_KEY)
        return [_sign_up(key, document) for document in await self._collection().find("open", _OPEN, after=after, limit=limit)]


def _sign_up(key: bytes, document: Document) -> SignUp:
    sent = json.loads(open_sealed(key, document["sealed"], _place(document["_id"])))
    return SignUp(
        id=document["_id"],
        form_id=document["form"],
        at_us=document["at"],
        sent=Sent(**sent | {"held": tuple(sent["held"])}),
        tries=document["tries"],
        due_us=document["due"],
        version=document.get("v", 1),
    )


def _place(id: str) -> bytes:
    return f"sign-up/{id}".encode()
