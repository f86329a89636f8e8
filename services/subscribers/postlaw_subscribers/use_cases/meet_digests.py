"""People and the digests of suppression lists meet: whoever a digest names is stopped in consent's ledger, where the gate finds them.

They meet at entry, so that no message ever looks a digest up. An import of digests keeps them all first and then goes through the
people; whoever adds or changes a person writes the person first and then looks the digests up. So whichever comes second sees the other.

A digest does its work once (`spent`). From then on the ledger knows it, and what the person says later is the later word: looking it up
anew would close what they opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from postlaw_common.foreground import step_aside
from postlaw_common.store import Document
from postlaw_subscribers.addresses import spellings
from postlaw_subscribers.domain.digest import Algorithm, digests_of
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


async def meet_digests(rooms: Rooms, tenant_id: str, address_key: bytes, address: str) -> None:
    """One person, whose document has just been written, or for whom something is about to be recorded. `address`: normalised.

    Raises PostlawError, StoreUnavailable; asking again is safe."""
    algorithms = await rooms.digests.algorithms(tenant_id)
    if algorithms:
        await stop(rooms, tenant_id, await named(rooms, tenant_id, algorithms, [Person(address_key, address)]))


class Entrance:
    """Of some rows of an import, together. `look` once before the first and after each time that people were written: it costs a read."""

    def __init__(self, rooms: Rooms, tenant_id: str) -> None:
        self._rooms = rooms
        self._tenant_id = tenant_id
        self._algorithms: tuple[Algorithm, ...] = ()

    async def look(self) -> None:
        self._algorithms = await self._rooms.digests.algorithms(self._tenant_id)

    async def meet(self, people: Iterable[Entering]) -> None:
        """By what was seen at the last look. Raises PostlawError, StoreUnavailable; asking again is safe."""
        if self._algorithms:
            await stop(self._rooms, self._tenant_id, await named(self._rooms, self._tenant_id, self._algorithms, people))


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
