"""API keys: list, revoke."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from postlaw_common.caller import Caller
from postlaw_common.errors import Invalid, NotFound
from postlaw_common.ids import time_ms_of
from postlaw_common.store import VersionConflict
from postlaw_identity.announcing import Announcing
from postlaw_identity.api_keys import ApiKeys
from postlaw_identity.domain.announcements import ApiKeyRevoked
from postlaw_identity.domain.api_key import ApiKey
from postlaw_identity.use_cases.callers import may_see, tenant_meant

USUAL_PAGE, LARGEST_PAGE = 50, 200


class ListApiKeys:
    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys

    async def __call__(self, caller: Caller, page_size: int, page_token: str) -> tuple[list[ApiKey], str]:
        """A page, oldest first, and the token of the next (empty: there is none). Revoked and expired ones are in it."""
        if page_token:
            try:
                time_ms_of(page_token)
            except ValueError as wrong:
                raise Invalid("page_token is not one that a list of API keys has given out.") from wrong
        limit = min(page_size, LARGEST_PAGE) if page_size > 0 else USUAL_PAGE
        page = await self._keys.page(tenant_meant(caller, ""), after=page_token, limit=limit + 1)
        return page[:limit], page[limit - 1].api_key_id if len(page) > limit else ""


class RevokeApiKey:
    def __init__(self, keys: ApiKeys, announcing: Announcing, now_us: Callable[[], int]) -> None:
        self._keys = keys
        self._announcing = announcing
        self._now_us = now_us

    async def __call__(self, caller: Caller, api_key_id: str) -> ApiKey:
        """For good, and announced to every gateway before this returns. A second time changes nothing. Raises NotFound."""
        while True:
            found = await self._keys.get(api_key_id)
            if found is None or not may_see(caller, found[0].api_key.tenant_id):
                raise NotFound(f"There is no API key {api_key_id}.")
            stored, document = found
            if stored.api_key.revoked_us:
                return stored.api_key
            now = self._now_us()
            revoked = replace(stored.api_key, revoked_us=now, version=stored.api_key.version + 1)
            try:
                await self._keys.replace(replace(stored, api_key=revoked), document, self._announcing.record(ApiKeyRevoked(revoked), now))
                return revoked
            except VersionConflict:
                continue  # somebody wrote in between: look again
