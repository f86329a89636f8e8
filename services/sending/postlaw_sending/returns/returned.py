"""What a mail that came back says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["dsn", "arf", "auto-reply", "none"]
Class = Literal["hard", "soft", "complaint", "none"]


@dataclass(frozen=True, slots=True)
class ReturnedRecipient:
    """`recipient`: as the report spells it, without the type; None where it was redacted, or the report names nobody. `action`: of RFC 3464
    §2.3.3, in lower case. `status`: of RFC 3463, its three numbers. Either is None where nothing says it.

    `cls`: hard, the address is no good; soft, this time it did not go; complaint; none, nothing went wrong."""

    recipient: str | None
    action: str | None
    status: str | None
    cls: Class


@dataclass(frozen=True, slots=True)
class Returned:
    kind: Kind
    recipients: tuple[ReturnedRecipient, ...] = ()


NOTHING = Returned("none")
