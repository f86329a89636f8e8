"""What is committed together: entries, and the offsets of the topics behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postlaw_audit.entries import entries_of
from postlaw_common.bus import Received
from postlaw_common.bus.generation import resumed_at


@dataclass(slots=True)
class Batch:
    """Entries that are to be committed together, with their event ids, and the offsets after them."""

    event_ids: list[str]
    entries: list[bytes]
    offsets: dict[str, list[int]]


def batch_of(records: Sequence[Received], offsets: dict[str, list[int]]) -> Batch:
    """The records as entries, in the order read; `offsets` moved on behind them."""
    after = {topic: list(row) for topic, row in offsets.items()}
    event_ids: list[str] = []
    entries: list[bytes] = []
    for record in records:
        for event_id, entry in entries_of(record):
            event_ids.append(event_id)
            entries.append(entry)
        after[record.topic][record.partition] = record.offset + 1
    return Batch(event_ids, entries, after)


def resumed(batch: Batch, generation: Received) -> Batch:
    """The batch with an entry for a generation of the topics, and with the offsets at which the log goes on in it.

    Topics that were set back hold other records from where they ended then. The entry tells whoever verifies why offsets come again."""
    entered = entries_of(generation)
    read = {(topic, n): offset for topic, row in batch.offsets.items() for n, offset in enumerate(row)}
    after = {topic: list(row) for topic, row in batch.offsets.items()}
    for (topic, n), offset in resumed_at(generation.value, read).items():
        after[topic][n] = offset
    return Batch([*batch.event_ids, *(id for id, _ in entered)], [*batch.entries, *(entry for _, entry in entered)], after)
