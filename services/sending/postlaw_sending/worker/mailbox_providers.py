"""Whose customers a batch's recipients are, counted without saying who is whose: the event of a batch is on the bus, and names people."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

OTHER: Final = "other"
FEW: Final = 5  # of a batch with a domain that is no big provider's: fewer might be told apart

_PROVIDERS: Final[dict[str, str]] = {
    domain: provider
    for provider, domains in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["providers"].items()
    for domain in domains
}

PROVIDERS: Final = frozenset(_PROVIDERS.values())


def provider_of(domain: str) -> str:
    """Whose customers a domain's addresses are; "" where it is no big provider's."""
    return _PROVIDERS.get(domain.lower(), "")


def destinations(recipients: Iterable[tuple[str, int]]) -> Counter[tuple[str, int]]:
    """How many, by (destination, state), of recipients by (address, state)."""
    by_domain = Counter([(address.rpartition("@")[2], state) for address, state in recipients])
    of_domain: Counter[str] = Counter()
    for (domain, _), number in by_domain.items():
        of_domain[domain.lower()] += number
    found: Counter[tuple[str, int]] = Counter()
    for (domain, state), number in by_domain.items():
        domain = domain.lower()
        found[_PROVIDERS.get(domain) or (domain if of_domain[domain] >= FEW else OTHER), state] += number
    return found
