"""People and suppressions that are kept without them meet: digests of a customer's lists, and addresses that are stopped for every
customer. Whoever they name is stopped in consent's ledger, where the gate finds them.

They meet at entry, so that no message ever looks one up. Suppressions are all kept first and the people gone through then; whoever adds or
changes a person writes the person first and then looks the suppressions up. So whichever comes second sees the other.

A digest does its work once (`spent`). From then on the ledger knows it, and what the person says later is the later word: looking it up
anew would close what they opened. What is stopped everywhere nobody but its author opens, so it may be met any number of times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from postlaw_common.foreground import step_aside
from postlaw_common.store import Document
from postlaw_subscribers.addresses import spellings
from postlaw_subscribers.domain.digest import Algorithm, digests_of
from postlaw_subscribers.everywhere import Suppressed, name_of
from postlaw_subscribers.rooms import Rooms

_AT_ONCE = 100  # people hashed before others get their turn on the event loop: a millisecond
_STOPPED_TOGETHER = 4000  # in one call of consent


class Entering(Protocol):
    """`address`: normalised."""

    @property
    def address_key(self) -> bytes: ...

    @property
    def address(self) -> str: ...


class Person(NamedTuple):
    address_key: bytes
    address: str


class Named(NamedTuple):
    """A person whom a list names, and its digest's document."""

    address_key: bytes
    digest: Document


async def meet_suppressions(rooms: Rooms, tenant_id: str, address_key: bytes, address: str) -> None:
    """One person, whose document has just been written, or for whom something is about to be recorded. `address`: normalised.

    Raises PostlawError, StoreUnavailable; asking again is safe."""
    await _meet(rooms, tenant_id, await _look(rooms, tenant_id), [Person(address_key, address)])


class Kept(NamedTuple):
    """What there is to meet: the algorithms of the customer's digests, and what is stopped everywhere."""

    algorithms: tuple[Algorithm, ...] = ()
    everywhere: Mapping[str, Suppressed] = {}


class Entrance:
    """Of some rows of an import, together. `look` once before the first and after each time that people were written: that is two reads."""

    def __init__(self, rooms: Rooms, tenant_id: str) -> None:
        self._rooms = rooms
        self._tenant_id = tenant_id
        self._kept = Kept()

    async def look(self) -> None:
        self._kept = await _look(self._rooms, self._tenant_id)

    async def meet(self, people: Iterable[Entering]) -> None:
        """By what was seen at the last look. Raises PostlawError, StoreUnavailable; asking again is safe."""
        await _meet(self._rooms, self._tenant_id, self._kept, people)


async def _look(rooms: Rooms, tenant_id: str) -> Kept:
    algorithms, everywhere = await asyncio.gather(rooms.digests.algorithms(tenant_id), rooms.everywhere.all())
    return Kept(algorithms, everywhere)


async def _meet(rooms: Rooms, tenant_id: str, kept: Kept, people: Iterable[Entering]) -> None:
    if kept.algorithms:
        await stop(rooms, tenant_id, await named(rooms, tenant_id, kept.algorithms, people))
    if kept.everywhere:
        await _stop_everywhere(rooms, tenant_id, kept.everywhere, people)


async def _stop_everywhere(rooms: Rooms, tenant_id: str, everywhere: Mapping[str, Suppressed], people: Iterable[Entering]) -> None:
    index = await rooms.everywhere.index()
    found: dict[Suppressed, list[bytes]] = {}
    for place, person in enumerate(people):
        if place % _AT_ONCE == 0:
            await step_aside()
        suppressed = everywhere.get(name_of(index, person.address))
        if suppressed is not None:
            found.setdefault(suppressed, []).append(person.address_key)
    for suppressed, address_keys in found.items():
        await rooms.platform_stop.met(tenant_id, address_keys, suppressed.reason, suppressed.by, suppressed.since_us)


async def named(rooms: Rooms, tenant_id: str, algorithms: Sequence[Algorithm], people: Iterable[Entering]) -> list[Named]:
    """Those of these people whom a list names, once for each digest."""
    index = await rooms.index(tenant_id)
    keys: dict[bytes, bytes] = {}
    for place, person in enumerate(people):
        if place % _AT_ONCE == 0:
            await step_aside()
        for algorithm, digest in digests_of(spellings(person.address), algorithms):
            keys[index.key_of_digest(algorithm, digest)] = person.address_key
    found = await rooms.digests.find(tenant_id, list(keys))
    return [Named(keys[key], document) for key, document in found.items()]


async def stop(rooms: Rooms, tenant_id: str, people: Iterable[Named]) -> None:
    """In everything, as the lists say that name them. Raises PostlawError, StoreUnavailable."""
    by_import: dict[str, list[Named]] = {}
    for each in people:
        if not each.digest.get("spent"):
            by_import.setdefault(each.digest["import_id"], []).append(each)
    for import_id, listed in by_import.items():
        for start in range(0, len(listed), _STOPPED_TOGETHER):
            some = listed[start : start + _STOPPED_TOGETHER]
            await rooms.stop_listed(tenant_id, import_id, list(dict.fromkeys(each.address_key for each in some)))
            await rooms.digests.spend([each.digest for each in some])
