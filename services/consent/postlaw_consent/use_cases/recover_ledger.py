"""After a restore of consent's database to an older point: what the bus still holds of the ledger is put back.

An event stands on the bus in the very bytes of the ledger, in the partition that its document is named by; so the document follows from
the record, and inserting it again changes nothing. Where another event has taken its place since, because a service ran too soon, that one
stays and this one is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from postlaw_common.bus import Bus, Received
from postlaw_consent.domain.event import ConsentEvent
from postlaw_consent.ledger import Entry, Ledger
from postlaw_consent.outgoing import EVENTS

_AT_ONCE = 2000  # records
_WAIT_S = 5.0


@dataclass(slots=True)
class Recovered:
    """`events` read, `restored` to the ledger; `displaced`: ids of events whose place in their person's history another one has taken."""

    events: int = 0
    restored: int = 0
    displaced: list[str] = field(default_factory=list[str])


class RecoverLedger:
    """`decode`: the wire's. `progress` is told how far it is after each page."""

    def __init__(self, ledger: Ledger, bus: Bus, decode: Callable[[bytes], ConsentEvent], progress: Callable[[Recovered], None]) -> None:
        self._ledger = ledger
        self._bus = bus
        self._decode = decode
        self._progress = progress

    async def __call__(self) -> Recovered:
        """Reads the whole topic as it stands now. Raises BusUnavailable, StoreUnavailable; beginning anew is safe."""
        done = Recovered()
        places = [(EVENTS.name, partition) for partition in range(self._bus.partitions)]
        asking = await self._bus.end_offset_client()
        reader = await self._bus.reader()
        try:
            left = {place: end for place, end in (await asking.end_offsets(places)).items() if end > 0}
            await reader.assign(dict.fromkeys(left, 0))
            while left:
                records = await reader.read(max_records=_AT_ONCE, timeout=_WAIT_S)
                await self._take(records, done)
                for record in records:
                    place = (record.topic, record.partition)
                    if record.offset + 1 >= left.get(place, record.offset + 2):
                        del left[place]
                if not records:
                    return done  # retention has taken what was left of the partitions
                self._progress(done)
            return done
        finally:
            await reader.close()
            await asking.close()

    async def _take(self, records: Sequence[Received], done: Recovered) -> None:
        entries = [Entry(self._decode(record.value), record.value, record.partition) for record in records]
        there = await self._ledger.restore(entries)
        done.events += len(entries)
        done.restored += len(entries) - len(there)
        done.displaced += [entry.event.event_id for entry, data in there if data != entry.data]
