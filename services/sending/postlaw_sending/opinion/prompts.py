"""The prompt, sealed under a key of the platform's (promise X8): it is in no answer, no event and no log line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from postlaw_common.crypto import open_sealed, seal
from postlaw_common.keys.platform import PROMPTS as KEY
from postlaw_common.store import Collection, CollectionSpec
from postlaw_common.store.changing import put

PROMPTS: Final = CollectionSpec("prompts")
_ID: Final = "subject"
_PLACE: Final = b"postlaw/prompt/subject"


class Keys(Protocol):
    """The part of PlatformKeys that is used here."""

    async def get(self, name: str, version: int = 1, *, create: bool = True) -> bytes: ...


class Prompts:
    """`collection`: `prompts` of the database `sending`."""

    def __init__(self, collection: Callable[[], Collection], keys: Keys) -> None:
        self._open = collection
        self._keys = keys

    async def put(self, prompt: str) -> None:
        """In place of the one before."""
        sealed = seal(await self._keys.get(KEY), prompt.encode(), _PLACE)
        await put(self._open(), {"_id": _ID, "sealed": sealed})

    async def get(self) -> str:
        """ "" where none was ever put. Raises SealBroken."""
        document = await self._open().get(_ID)
        return open_sealed(await self._keys.get(KEY), document["sealed"], _PLACE).decode() if document else ""
