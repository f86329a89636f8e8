"""Lists' names as subscribers announced them, for the page behind an unsubscribe link: `_id` = tenant / list.

Nothing rests on them: a name that has not arrived, or cannot be read, is left out, and the page says "this mailing list".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from postlaw_common.store import Collection, CollectionSpec, StoreUnavailable

LIST_NAMES = CollectionSpec("list_names")


class ListNames:
    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._collection = collection

    async def keep(self, names: Mapping[tuple[str, str], str]) -> None:
        """Names by (tenant, list). A name that is there stays: a list is announced once."""
        await self._collection().insert_many([{"_id": f"{tenant}/{list_id}", "name": name} for (tenant, list_id), name in names.items()])

    async def name(self, tenant_id: str, list_id: str) -> str:
        """Empty where it is not known."""
        try:
            document = await self._collection().get(f"{tenant_id}/{list_id}")
        except StoreUnavailable:
            return ""
        return document["name"] if document else ""
