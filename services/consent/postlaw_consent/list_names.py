"""Lists' names and brands as subscribers announced them, for the pages behind an unsubscribe link: `_id` = tenant / list.

Nothing rests on them: a name that has not arrived, or cannot be read, is left out, and the page says "this mailing list".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from postlaw_common.store import Collection, CollectionSpec, StoreUnavailable
from postlaw_consent.domain.preferences import Listed

LIST_NAMES = CollectionSpec("list_names")


class ListNames:
    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._collection = collection

    async def keep(self, lists: Mapping[tuple[str, str], Listed]) -> None:
        """By (tenant, list). What is there stays: a list is announced once."""
        await self._collection().insert_many(
            [{"_id": f"{tenant}/{list_id}", "name": one.name, "brand": one.brand} for (tenant, list_id), one in lists.items()]
        )

    async def named(self, tenant_id: str, list_ids: Sequence[str]) -> Mapping[str, Listed]:
        """By list. One that is not known is left out."""
        try:
            found = await self._collection().get_many([f"{tenant_id}/{list_id}" for list_id in list_ids]) if list_ids else {}
        except StoreUnavailable:
            return {}
        return {id.partition("/")[2]: Listed(document["name"], document.get("brand", "")) for id, document in found.items()}
