"""Tenants: create, get, say where one stands in the law."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from postlaw_common.caller import Caller
from postlaw_common.errors import FieldError, Invalid
from postlaw_common.ids import new_id
from postlaw_common.store import VersionConflict
from postlaw_identity.announcing import Announcing
from postlaw_identity.domain.announcements import SenderIdentityChanged, TenantCreated
from postlaw_identity.domain.tenant import SenderIdentity, Tenant
from postlaw_identity.tenants import Tenants
from postlaw_identity.use_cases.callers import may_see, no_tenant


class CreateTenant:
    def __init__(self, tenants: Tenants, announcing: Announcing, now_us: Callable[[], int]) -> None:
        self._tenants = tenants
        self._announcing = announcing
        self._now_us = now_us

    async def __call__(self, name: str, postal_address: str, sender_identity: SenderIdentity) -> Tenant:
        """Raises Invalid."""
        _check(sender_identity)
        now = self._now_us()
        tenant = Tenant(new_id("ten"), name, postal_address, now, sender_identity)
        await self._tenants.insert(tenant, self._announcing.record(TenantCreated(tenant), now))
        return tenant


class GetTenant:
    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants

    async def __call__(self, caller: Caller | None, tenant_id: str) -> Tenant:
        """Raises NotFound, also for a tenant that is not the caller's."""
        tenant = await self._tenants.get(tenant_id) if may_see(caller, tenant_id) else None
        if tenant is None:
            raise no_tenant(tenant_id)
        return tenant


class SetSenderIdentity:
    def __init__(self, tenants: Tenants, announcing: Announcing, now_us: Callable[[], int]) -> None:
        self._tenants = tenants
        self._announcing = announcing
        self._now_us = now_us

    async def __call__(self, tenant_id: str, postal_address: str, sender_identity: SenderIdentity) -> Tenant:
        """Replaces all of it; an empty postal address leaves that as it was. What is so already changes nothing and is not
        announced. Raises Invalid, NotFound."""
        _check(sender_identity)
        while True:
            found = await self._tenants.read(tenant_id)
            if found is None:
                raise no_tenant(tenant_id)
            before, document = found
            after = replace(before, postal_address=postal_address or before.postal_address, sender_identity=sender_identity)
            if after == before:
                return before
            after = replace(after, version=before.version + 1)
            announcement = self._announcing.record(SenderIdentityChanged(before, after), self._now_us())
            try:
                await self._tenants.replace(after, document, announcement)
                return after
            except VersionConflict:
                continue  # somebody wrote in between: look again


def _check(sender_identity: SenderIdentity) -> None:
    if wrong := sender_identity.wrong():
        fields = [FieldError(f"sender_identity.{name}", what) for name, what in wrong.items()]
        raise Invalid("Where the customer stands in the law cannot be as it is given.", fields=fields)
