"""The rows of another provider's suppression list: their people are stopped in everything, and nobody becomes a member or gets a profile.

Nobody need be known: an address key is made of the address alone. Safe to repeat as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from postlaw_subscribers.domain.csv_rows import Row
from postlaw_subscribers.domain.import_job import DUPLICATE_IN_FILE, Outcome
from postlaw_subscribers.rooms import Rooms, SuppressionLedger
from postlaw_subscribers.use_cases.import_batch import ImportSource, Result, judge


async def suppress_rows(rooms: Rooms, ledger: SuppressionLedger, source: ImportSource, rows: Sequence[Row], result: Result) -> None:
    """Stops everyone first, and only then counts them. Raises PostlawError, StoreUnavailable."""
    candidates = await judge(source, rows, result)
    if not candidates:
        return
    already = await ledger.suppress(
        [candidate.address_key for candidate in candidates], source.wrapping.seal_attestation(source.attestation)
    )
    outcomes = {
        candidate.address_key: Outcome.ALREADY_SUPPRESSED if candidate.address_key in already else Outcome.SUPPRESSED
        for candidate in candidates
    }
    marks = {candidate.address_key: (candidate.row.number, outcomes[candidate.address_key].value) for candidate in candidates}
    earlier = await rooms.jobs.mark_rows(source.import_id, marks)
    for candidate in candidates:
        row, outcome = earlier.get(candidate.address_key, (candidate.row.number, outcomes[candidate.address_key].value))
        if row != candidate.row.number:
            result.refuse(candidate.row, DUPLICATE_IN_FILE, source.header.names[source.header.address_at])
        else:
            result.took(Outcome(outcome))
