"""Pools: the addresses of ours that mail leaves from, apart by stream and customer, so that none spoils another's name."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from ipaddress import ip_address

from postlaw_sending.messages.campaign import Recipient
from postlaw_sending.mx.destination import domain_of
from postlaw_sending.worker.routes import Route

MARKETING = "marketing"
TRANSACTIONAL = "transactional"


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """`since`: the first day of one that is new, which is warmed up from then on."""

    address: str
    since: date | None = None


def parsed(setting: str) -> dict[str, tuple[OwnAddress, ...]]:
    """ "marketing=192.0.2.1,2001:db8::1@2026-11-20;transactional=192.0.2.9;ten_1/marketing=192.0.2.7". ValueError."""
    pools: dict[str, tuple[OwnAddress, ...]] = {}
    for part in filter(None, (part.strip() for part in setting.split(";"))):
        name, _, listed = (piece.strip() for piece in part.partition("="))
        if name.rpartition("/")[2] not in (MARKETING, TRANSACTIONAL):
            raise ValueError(f"{name}: a pool is marketing or transactional, or a customer's id, a slash and one of these")
        pools[name] = tuple(_own(address.strip()) for address in listed.split(","))
    return pools


def _own(text: str) -> OwnAddress:
    address, _, since = text.partition("@")
    return OwnAddress(str(ip_address(address)), date.fromisoformat(since) if since else None)


class AllSpent(Exception):
    """Every address of the pool has handed over what it may today."""


class Pools:
    """A stream's connections leave from its addresses by turns. A stream without a pool: the system chooses. `spent`: whether an address
    has handed over what it may today."""

    def __init__(self, pools: Mapping[str, Sequence[OwnAddress]], spent: Callable[[str], bool]) -> None:
        self._pools = {name: deque(own.address for own in pool) for name, pool in pools.items()}
        self._spent = spent

    def sources(self, pool: str) -> tuple[str, ...]:
        """The next connection's address, one a family; none: the system chooses. Raises AllSpent."""
        addresses = self._pools.get(pool)
        if addresses is None:
            return ()
        addresses.rotate(-1)
        chosen = {ip_address(address).version: address for address in addresses if not self._spent(address)}
        if not chosen:
            raise AllSpent
        return tuple(chosen.values())

    def routes(self, tenant_id: str, transactional: bool, recipients: Sequence[Recipient]) -> list[Route]:
        """A Router: a customer's own pool, else the stream's."""
        stream = TRANSACTIONAL if transactional else MARKETING
        pool = f"{tenant_id}/{stream}"
        if pool not in self._pools:
            pool = stream
        return [Route(pool, domain_of(recipient.address)) for recipient in recipients]
