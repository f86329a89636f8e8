"""DKIM keys as they are kept: the private half sealed under the customer's key, and tied to its domain and selector."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from postlaw_common.crypto import open_sealed, seal
from postlaw_common.keys.customer import CustomerKeys
from postlaw_sending.domains.domain.sender_domain import Algorithm, DkimKey
from postlaw_sending.domains.key_pairs import KeyPair, new_ed25519, new_rsa
from postlaw_sending.messages import dkim

_PURPOSE = "dkim"


class DkimKeys:
    def __init__(self, customers: CustomerKeys, now_us: Callable[[], int]) -> None:
        self._customers = customers
        self._now_us = now_us

    async def make(self, tenant_id: str, domain: str) -> tuple[DkimKey, ...]:
        """An RSA key and, beside it, an Ed25519 key. Raises KeysUnavailable, StoreUnavailable."""
        version, wrapping = await self._customers.get(tenant_id, _PURPOSE)
        name = f"pl{secrets.token_hex(4)}"  # the same domain may be another customer's as well
        now_us = self._now_us()

        def kept(algorithm: Algorithm, selector: str, pair: KeyPair) -> DkimKey:
            sealed = seal(wrapping, pair.private, _place(tenant_id, domain, selector))
            return DkimKey(selector, algorithm, pair.record, now_us, version, sealed)

        rsa = await asyncio.to_thread(new_rsa)
        return kept(Algorithm.RSA, name, rsa), kept(Algorithm.ED25519, name + "e", new_ed25519())

    async def opened(self, tenant_id: str, domain: str, key: DkimKey) -> dkim.DkimKey:
        """Ready to sign with. Raises SealBroken, KeysUnavailable, StoreUnavailable."""
        _, wrapping = await self._customers.get(tenant_id, _PURPOSE, key.key_version)
        private = open_sealed(wrapping, key.sealed, _place(tenant_id, domain, key.selector))
        return dkim.DkimKey(private, domain, key.selector)


def _place(tenant_id: str, domain: str, selector: str) -> bytes:
    return f"dkim/{tenant_id}/{domain}/{selector}".encode()
