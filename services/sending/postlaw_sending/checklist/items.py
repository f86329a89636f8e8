"""One thing that is looked at, and what was found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from postlaw_common.errors import FieldError, Unprocessable

State = Literal["pass", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Item:
    """`id` is stable. `what` was found, and `what_to_do` about it, "" where it passes. Neither holds personal data."""

    id: str
    state: State
    what: str
    what_to_do: str = ""


def refuse_failed(items: Iterable[Item]) -> None:
    """Raises Unprocessable of type `checklist-failed`, naming every item that fails."""
    failed = [FieldError(item.id, f"{item.what} {item.what_to_do}".strip()) for item in items if item.state == "fail"]
    if failed:
        raise Unprocessable(
            "The campaign cannot be launched as it is; see `fields`. Its checklist says more.", type="checklist-failed", fields=failed
        )
