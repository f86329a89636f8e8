"""What a returned mail means for the one person whose message it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from postlaw_sending.returns.classify import classify
from postlaw_sending.returns.notices import Notice
from postlaw_sending.returns.proofs import says_unsubscribe
from postlaw_sending.returns.returned import Class, Kind

Act = Literal["bounced", "complained", "withdrawn"]
"""What consent is told. Nobody of the customer mails an address that is no good; the other two are of the brand where there is one."""

_GRAVEST_FIRST: Final[tuple[Class, ...]] = ("complaint", "hard", "soft", "none")
_ACTS: Final[Mapping[Class, Act]] = {"complaint": "complained", "hard": "bounced"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`status`: of RFC 3463; "" where nothing says it. `act`: None where nothing follows. `provider`: the domain of whom the report names,
    or ""."""

    kind: Kind | Literal["unsubscribe"]
    cls: Class
    status: str
    act: Act | None
    provider: str = ""


def verdict_of(content: bytes) -> Verdict:
    """A return path is one recipient's, so whatever a report says of anybody is about them: the gravest of it counts."""
    returned = classify(content)
    found = min(returned.recipients, key=lambda one: _GRAVEST_FIRST.index(one.cls), default=None)
    if found is not None:
        return Verdict(
            returned.kind, found.cls, found.status or "", _ACTS.get(found.cls), (found.recipient or "").rpartition("@")[2].lower()
        )
    if returned.kind == "none" and says_unsubscribe(content):
        return Verdict("unsubscribe", "none", "", "withdrawn")
    return Verdict(returned.kind, "none", "", None)


def verdict_of_notice(notice: Notice) -> Verdict:
    return Verdict(notice.kind, notice.cls, notice.status, _ACTS.get(notice.cls), notice.address.rpartition("@")[2].lower())
