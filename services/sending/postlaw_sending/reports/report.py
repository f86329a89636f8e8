"""A report, whatever it came as. It is a stranger's word: shown as such, and acted on by nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal

LARGEST_COUNT: Final = 10**12  # messages or sessions; a receiver that says more is not one
MOST_CAUSES: Final = 20
_LONGEST_DOMAIN: Final = 300  # letters, with a dot at its end and blanks around it

Kind = Literal["dmarc", "tls"]


class Malformed(Exception):
    """No report can be read in it."""


@dataclass(slots=True)
class Figures:
    """Of one domain. DMARC: messages; those that were `dkim_aligned` or `spf_aligned` passed, and the causes are the addresses that the
    others came from. TLS: sessions; the causes are the result types of those that failed (RFC 8460 §4.3)."""

    passed: int = 0
    failed: int = 0
    dkim_aligned: int = 0
    spf_aligned: int = 0
    quarantined: int = 0
    rejected: int = 0
    causes: Counter[str] = field(default_factory=Counter[str])

    def add(self, other: Figures) -> None:
        for name in ("passed", "failed", "dkim_aligned", "spf_aligned", "quarantined", "rejected"):
            setattr(self, name, min(getattr(self, name) + getattr(other, name), LARGEST_COUNT))
        self.causes.update(other.causes)


@dataclass(slots=True)
class Report:
    """`domains`: the figures of each, by its name in lower case. `begins_s` and `ends_s`: seconds since the epoch."""

    kind: Kind
    reporter: str
    report_id: str
    begins_s: int
    ends_s: int
    domains: dict[str, Figures] = field(default_factory=dict[str, Figures])

    def count(self, domain: str, figures: Figures) -> None:
        """Raises Malformed for what is too long to be a domain: a name of a million labels has a million above it."""
        if len(domain) > _LONGEST_DOMAIN:
            raise Malformed("it names what cannot be a domain")
        self.domains.setdefault(domain.strip().rstrip(".").lower(), Figures()).add(figures)


def plain(text: str | None) -> str:
    """One short line of it that a terminal can show."""
    return "".join(letter for letter in " ".join((text or "")[:1000].split()) if letter.isprintable())[:200]
