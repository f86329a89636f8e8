"""Issues signed contexts: for an API key, for a service's background work, for the operator. Five minutes each, at most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postlaw_common.caller import Actor, Caller
from postlaw_common.errors import Denied, Unauthenticated
from postlaw_common.rpc.context_token import context_message, sign_context
from postlaw_common.telemetry import get_logger
from postlaw_identity.api_keys import ApiKeys
from postlaw_identity.domain import scopes
from postlaw_identity.domain.api_key import State, keyed_hash, same_hash, visible_prefix, well_formed
from postlaw_identity.domain.key_ring import TOKEN_LIFE_US
from postlaw_identity.peppers import Peppers
from postlaw_identity.signing_keys import SigningKeys
from postlaw_identity.tenants import Tenants
from postlaw_identity.use_cases.callers import no_tenant

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Issued:
    """`token`: a serialized SignedContext."""

    token: bytes
    expires_us: int


class Issue:
    """Signs a caller's context with whichever key signs now."""

    def __init__(self, signing_keys: SigningKeys, now_us: Callable[[], int]) -> None:
        self._signing_keys = signing_keys
        self._now_us = now_us

    async def __call__(self, caller: Caller, *, not_beyond_us: int = 0) -> Issued:
        """`not_beyond_us`: the end of the credential behind it; 0: none."""
        key_id, private = await self._signing_keys.signer()
        now = self._now_us()
        expires = min(now + TOKEN_LIFE_US, not_beyond_us or now + TOKEN_LIFE_US)
        return Issued(sign_context(private, key_id, context_message(caller, issued_at_us=now, expires_at_us=expires)), expires)


class AuthenticateApiKey:
    def __init__(self, keys: ApiKeys, peppers: Peppers, issue: Issue, now_us: Callable[[], int]) -> None:
        self._keys = keys
        self._peppers = peppers
        self._issue = issue
        self._now_us = now_us

    async def __call__(self, secret: str) -> Issued:
        """Raises Unauthenticated; only who holds the right secret learns that it was revoked or has expired."""
        if not well_formed(secret):
            raise Unauthenticated("This is not an API key of ours: its form or its checksum is wrong.", type="unknown-key")
        stored = await self._keys.with_prefix(visible_prefix(secret))
        # An unknown prefix costs the same work, so that time does not tell which prefixes exist.
        pepper = await self._peppers.get(stored.pepper_version) if stored else await self._peppers.get()
        right = same_hash(keyed_hash(secret, pepper), stored.hash if stored else bytes(32))
        if stored is None or not right:
            raise Unauthenticated("This API key is not known.", type="unknown-key")
        key = stored.api_key
        state = key.state(self._now_us())
        if state is State.REVOKED:
            raise Unauthenticated("This API key was revoked.", type="revoked-key")
        if state is State.EXPIRED:
            raise Unauthenticated("This API key has expired.", type="expired-key")
        caller = Caller(key.tenant_id, Actor("api_key", key.api_key_id), scopes=frozenset(key.scopes), credential_id=key.api_key_id)
        return await self._issue(caller, not_beyond_us=key.expires_us)


class IssueServiceContext:
    def __init__(self, tenants: Tenants, issue: Issue) -> None:
        self._tenants = tenants
        self._issue = issue

    async def __call__(self, service: str, tenant_id: str, on_behalf_of: Actor | None, asked: Sequence[str], purpose: str) -> Issued:
        """`service`: the name in the peer's certificate. Raises NotFound, Denied."""
        if more := scopes.beyond(asked, scopes.SERVICE):
            raise Denied(f"A service's own work is never given the scope {', '.join(more)}.", type="missing-scope")
        if await self._tenants.get(tenant_id) is None:
            raise no_tenant(tenant_id)
        issued = await self._issue(Caller(tenant_id, Actor("service", service), on_behalf_of, frozenset(asked)))
        _log.info("context for a service's work", service=service, tenant_id=tenant_id, purpose=purpose)
        return issued


class IssueOperatorContext:
    def __init__(self, tenants: Tenants, issue: Issue) -> None:
        self._tenants = tenants
        self._issue = issue

    async def __call__(self, tenant_id: str) -> Issued:
        """In a tenant: what its own keys may do. Without one: the platform's admin. Raises NotFound."""
        if not tenant_id:
            return await self._issue(Caller("", Actor("operator", "operator"), scopes=scopes.CUSTOMER | {scopes.PLATFORM_ADMIN}))
        if await self._tenants.get(tenant_id) is None:
            raise no_tenant(tenant_id)
        return await self._issue(Caller(tenant_id, Actor("operator", "operator"), scopes=scopes.CUSTOMER))
