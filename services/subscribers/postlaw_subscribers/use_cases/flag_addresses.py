"""Signs of bad addresses among the rows that an import takes: counted as warnings, and in the report, beside what was refused."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from postlaw_subscribers.domain.hygiene import flags_of
from postlaw_subscribers.use_cases.import_batch import Candidate, ImportSource, Result


def flag_addresses(source: ImportSource, candidates: Sequence[Candidate], taken: Collection[bytes], result: Result) -> None:
    """`taken`: the address keys of those who are."""
    column = source.header.names[source.header.address_at]
    for candidate in candidates:
        flags = flags_of(candidate.address)
        if flags and candidate.address_key in taken:
            for flag in flags:
                result.warn_of(candidate.row, flag, column)
