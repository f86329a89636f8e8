"""Pools: the addresses of ours that mail leaves from, apart by stream and customer, so that none spoils another's name."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from postlaw_sending.messages.campaign import Recipient
from postlaw_sending.mx.destination import domain_of
from postlaw_sending.worker.routes import Route

MARKETING = "marketing"
TRANSACTIONAL = "transactional"


def parsed(setting: str) -> dict[str, tuple[str, ...]]:
    """ "marketing=192.0.2.1,2001:db8::1;transactional=192.0.2.9;ten_1/marketing=192.0.2.7". ValueError."""
    pools: dict[str, tuple[str, ...]] = {}
    for part in filter(None, (part.strip() for part in setting.split(";"))):
        name, _, listed = (piece.strip() for piece in part.partition("="))
        addresses = tuple(str(ip_address(address.strip())) for address in listed.split(","))
        if name.rpartition("/")[2] not in (MARKETING, TRANSACTIONAL):
            raise ValueError(f"{name}: a pool is marketing or transactional, or a customer's id, a slash and one of these")
        pools[name] = addresses
    return pools


class Pools:
    """A stream's connections leave from its addresses by turns. A stream without a pool: the system chooses."""

    def __init__(self, addresses: Mapping[str, Sequence[str]]) -> None:
        self._names = frozenset(addresses)
        self._turns = {
            name: [
                itertools.cycle(family)
                for version in (4, 6)
                if (family := [address for address in listed if ip_address(address).version == version])
            ]
            for name, listed in addresses.items()
        }

    def sources(self, pool: str) -> tuple[str, ...]:
        """The next connection's address, one a family."""
        return tuple(next(family) for family in self._turns.get(pool, ()))

    def routes(self, tenant_id: str, single: bool, recipients: Sequence[Recipient]) -> list[Route]:
        """A Router: a customer's own pool, else the stream's."""
        stream = TRANSACTIONAL if single else MARKETING
        pool = f"{tenant_id}/{stream}"
        if pool not in self._names:
            pool = stream
        return [Route(pool, domain_of(recipient.address)) for recipient in recipients]
