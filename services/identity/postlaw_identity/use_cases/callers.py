"""Whose things a caller may see: its own tenant's. Others' are not forbidden, they do not exist."""

from __future__ import annotations

from postlaw_common.caller import Caller
from postlaw_common.errors import Invalid, NotFound
from postlaw_identity.domain.scopes import PLATFORM_ADMIN


def may_see(caller: Caller | None, tenant_id: str) -> bool:
    """No caller: the mesh itself asks, as far as its method table lets it."""
    return caller is None or caller.tenant_id == tenant_id or PLATFORM_ADMIN in caller.scopes


def tenant_meant(caller: Caller, tenant_id: str) -> str:
    """The tenant that a request is about: the caller's own where it names none. Raises NotFound for another's, Invalid for none."""
    if tenant_id and not may_see(caller, tenant_id):
        raise no_tenant(tenant_id)
    if not (tenant_id or caller.tenant_id):
        raise Invalid("Name the tenant: this caller acts for the platform itself, not for one.")
    return tenant_id or caller.tenant_id


def no_tenant(tenant_id: str) -> NotFound:
    return NotFound(f"There is no tenant {tenant_id}.")
