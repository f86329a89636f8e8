"""What a returned mail means for the one person whose message it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from postlaw_sending.returns.returned import Class, Kind, Returned

_GRAVEST_FIRST: Final[tuple[Class, ...]] = ("complaint", "hard", "soft", "none")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`status`: of RFC 3463; "" where nothing says it."""

    kind: Kind
    cls: Class
    status: str


def verdict_of(returned: Returned) -> Verdict:
    """A return path is one recipient's, so whatever a report says of anybody is about them: the gravest of it counts."""
    found = min(returned.recipients, key=lambda one: _GRAVEST_FIRST.index(one.cls), default=None)
    return Verdict(returned.kind, found.cls, found.status or "") if found else Verdict(returned.kind, "none", "")
