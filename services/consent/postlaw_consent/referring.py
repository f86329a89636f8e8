"""Acts that refer to an earlier one of the same person: by its event id, which the ledger turns into its version."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from postlaw_common.errors import FieldError, Invalid
from postlaw_consent.domain.particulars import Particulars


def referring(particulars: Particulars, history: Iterable[tuple[int, str]]) -> Particulars:
    """`history`: (version, event id) of the person's events. Raises Invalid where none of them is the one referred to."""
    if not particulars.refers_to:
        return particulars
    for version, event_id in history:
        if event_id == particulars.refers_to:
            return replace(particulars, refers_to_version=version)
    raise Invalid("That is no event of this person.", fields=[FieldError("particulars.refers_to", "names no event of this person")])
