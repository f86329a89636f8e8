"""The rows of a suppression list that names people by digests: each is kept as a keyed hash, before anybody is looked for.

Safe to repeat as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from postlaw_common.foreground import step_aside
from postlaw_subscribers.domain.csv_rows import Row
from postlaw_subscribers.domain.digest import Algorithm, read_digest
from postlaw_subscribers.domain.import_job import DUPLICATE_IN_FILE, NOT_A_DIGEST, Outcome
from postlaw_subscribers.rooms import Rooms
from postlaw_subscribers.use_cases.import_batch import AT_ONCE, ImportSource, Result, cells_of


async def keep_digests(rooms: Rooms, source: ImportSource, algorithm: Algorithm, rows: Sequence[Row], result: Result) -> None:
    """Raises StoreUnavailable."""
    column = source.header.names[source.header.address_at]
    accepted: dict[bytes, Row] = {}
    for place, row in enumerate(rows):
        if place % AT_ONCE == 0:
            await step_aside()
        if not row.reason and not any(row.cells):
            continue  # a blank line is no row
        cells = cells_of(source.header, row, result)
        if cells is None:
            continue
        digest = read_digest(algorithm, cells[source.header.address_at])
        if digest is None:
            result.refuse(row, NOT_A_DIGEST, column)
            continue
        key = source.index.key_of_digest(algorithm, digest)
        if accepted.setdefault(key, row) is not row:
            result.refuse(row, DUPLICATE_IN_FILE, column, withheld=True)
    if not accepted:
        return
    await rooms.digests.announce(source.tenant_id, algorithm)
    earlier = await rooms.digests.keep(source.tenant_id, source.import_id, {key: row.number for key, row in accepted.items()})
    for key in earlier:
        result.refuse(accepted[key], DUPLICATE_IN_FILE, column, withheld=True)
    result.took(Outcome.DIGEST_KEPT, len(accepted) - len(earlier))
