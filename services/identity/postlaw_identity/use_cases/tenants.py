"""Tenants: create, get."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.caller import Caller
from postlaw_common.ids import new_id
from postlaw_identity.announcing import Announcing
from postlaw_identity.domain.announcements import TenantCreated
from postlaw_identity.domain.tenant import Tenant
from postlaw_identity.tenants import Tenants
from postlaw_identity.use_cases.callers import may_see, no_tenant


class CreateTenant:
    def __init__(self, tenants: Tenants, announcing: Announcing, now_us: Callable[[], int]) -> None:
        self._tenants = tenants
        self._announcing = announcing
        self._now_us = now_us

    async def __call__(self, name: str, postal_address: str) -> Tenant:
        now = self._now_us()
        tenant = Tenant(new_id("ten"), name, postal_address, now)
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
