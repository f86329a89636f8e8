"""Creates an API key. Its secret is in the answer, this once, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from postlaw_common.caller import Caller
from postlaw_common.errors import Conflict, Denied, FieldError, Invalid
from postlaw_common.ids import new_id
from postlaw_common.made_once import RequestKey, fingerprint
from postlaw_common.store import AlreadyExists
from postlaw_identity.announcing import Announcing
from postlaw_identity.api_keys import ApiKeys, StoredKey
from postlaw_identity.domain import scopes
from postlaw_identity.domain.announcements import ApiKeyCreated
from postlaw_identity.domain.api_key import PREFIX_BYTES, SECRET_BYTES, ApiKey, compose, keyed_hash, visible_prefix
from postlaw_identity.peppers import CURRENT, Peppers
from postlaw_identity.tenants import Tenants
from postlaw_identity.use_cases.callers import no_tenant, tenant_meant


class CreateApiKey:
    def __init__(self, keys: ApiKeys, tenants: Tenants, peppers: Peppers, announcing: Announcing, now_us: Callable[[], int]) -> None:
        self._keys = keys
        self._tenants = tenants
        self._peppers = peppers
        self._announcing = announcing
        self._now_us = now_us

    async def __call__(
        self, caller: Caller, tenant_id: str, name: str, asked: Sequence[str], expires_us: int, idempotency_key: str
    ) -> tuple[ApiKey, str]:
        """The key and its secret. `expires_us` 0: never. Raises NotFound, Invalid, Denied, KeyReused, and Conflict where this
        request has made a key already: its secret cannot be shown again, and a second key would be one too many."""
        tenant_id, now = tenant_meant(caller, tenant_id), self._now_us()
        self._check(caller, asked, expires_us, now)
        if await self._tenants.get(tenant_id) is None:
            raise no_tenant(tenant_id)
        pepper = await self._peppers.get()
        request = RequestKey(tenant_id, idempotency_key)
        request_hash = fingerprint(name, str(expires_us), *sorted(set(asked)))
        while True:
            secret = compose(os.urandom(PREFIX_BYTES), os.urandom(SECRET_BYTES))
            key = ApiKey(new_id("key"), tenant_id, name, tuple(sorted(set(asked))), visible_prefix(secret), now, expires_us)
            try:
                stored = StoredKey(key, keyed_hash(secret, pepper), CURRENT)
                made = await self._keys.insert(stored, self._announcing.record(ApiKeyCreated(key), now), request, request_hash)
            except AlreadyExists:
                continue  # the prefix is taken, once in a million million
            if made is not None:
                raise _secret_lost(made.api_key_id)
            return key, secret

    @staticmethod
    def _check(caller: Caller, asked: Sequence[str], expires_us: int, now_us: int) -> None:
        wrong: list[FieldError] = []
        if unknown := scopes.beyond(asked, scopes.CUSTOMER):
            known = ", ".join(sorted(scopes.CUSTOMER))
            wrong.append(FieldError("scopes", f"no scope that a key can have: {', '.join(unknown)}; there are {known}"))
        if expires_us and expires_us <= now_us:
            wrong.append(FieldError("expires_at", "must lie in the future, or be left out"))
        if wrong:
            raise Invalid("The API key cannot be made like this.", fields=wrong)
        # Else a key for one purpose could make itself a key for all.
        if scopes.PLATFORM_ADMIN not in caller.scopes and (more := scopes.beyond(asked, caller.scopes)):
            raise Denied(f"A caller cannot give away scopes that it lacks: {', '.join(more)}.", type="missing-scope")


def _secret_lost(api_key_id: str) -> Conflict:
    return Conflict(
        f"An earlier request with this Idempotency-Key made the API key {api_key_id}, and its answer was lost: a secret is shown once "
        f"only. Revoke that key (DELETE /v1/api-keys/{api_key_id}) and make another under a new Idempotency-Key.",
        type="api-key-secret-lost",
    )
