"""A sender domain, its DKIM keys, and what a check makes of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

OVERLAP_US = 7 * 24 * 3600 * 1_000_000  # a signature that is still under way, or in a retry, finds its key for so long
LINKS = "links"  # the check of a host of the domain's own, for tracked links
FAILING_AFTER = 2  # failed checks in a row: one may catch a zone that is just being changed


class State(StrEnum):
    UNVERIFIED = "unverified"
    VERIFIED = "verified"
    FAILING = "failing"


class Result(StrEnum):
    OK = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"  # the DNS did not answer: never held against a domain


class Algorithm(StrEnum):
    RSA = "rsa"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class DkimKey:
    """`record`: what its TXT record has to say. `sealed`: the private key under version `key_version` of the customer's.
    Times in microseconds since the epoch, 0: not yet. `published_at_us`: when a check first found it;
    `superseded_at_us`: when a newer one took over."""

    selector: str
    algorithm: Algorithm
    record: str
    made_at_us: int
    key_version: int
    sealed: bytes = field(repr=False)
    published_at_us: int = 0
    superseded_at_us: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """`id`: `spf`, `dmarc`, `mx`, `bimi`, `links`, `dkim:` and a selector, or `fcrdns:` and an address of the installation's."""

    id: str
    result: Result
    expected: str
    found: str
    what_to_do: str = ""


@dataclass(frozen=True, slots=True)
class SenderDomain:
    """`domain` in A-labels, lower case. `failures`: failed checks in a row. `due_at_us`: when it is checked again.
    `version` 0: not stored yet."""

    tenant_id: str
    domain: str
    keys: Sequence[DkimKey]
    state: State = State.UNVERIFIED
    checks: Sequence[Check] = ()
    failures: int = 0
    created_at_us: int = 0
    checked_at_us: int = 0
    due_at_us: int = 0
    version: int = 0

    @property
    def signing(self) -> list[DkimKey]:
        """The keys that messages are signed with now: the newest published one of each algorithm, RSA first; none without RSA."""
        found = [self._in_use(algorithm) for algorithm in Algorithm]
        return [key for key in found if key is not None] if found[0] is not None else []

    @property
    def lasting(self) -> list[DkimKey]:
        """The keys whose records are to stand in the DNS: all but those whose time has run out."""
        return [key for key in self.keys if not key.superseded_at_us or self.checked_at_us - key.superseded_at_us < OVERLAP_US]

    @property
    def links_host(self) -> str:
        """Where tracked links of its campaigns stand; "": on the installation's own."""
        leads_here = any(check.id == LINKS and check.result is Result.OK for check in self.checks)
        return links_host(self.domain) if leads_here and self.state is State.VERIFIED else ""

    @property
    def rotating(self) -> bool:
        """Whether a newer RSA key waits to be published."""
        rsa = [key for key in self.keys if key.algorithm is Algorithm.RSA]
        return any(key.published_at_us for key in rsa) and not rsa[-1].published_at_us

    def _in_use(self, algorithm: Algorithm) -> DkimKey | None:
        usable = [key for key in self.keys if key.algorithm is algorithm and key.published_at_us and not key.superseded_at_us]
        return usable[-1] if usable else None


def links_host(domain: str) -> str:
    return f"links.{domain}"


def checked(domain: SenderDomain, checks: Sequence[Check], published: Mapping[str, Result], now_us: int, due_at_us: int) -> SenderDomain:
    """The domain after a check. `published`: of each key, by selector, what its record was found to be.

    Verified once everything passes (or only warns); failing after two failed checks in a row. An unknown changes neither."""
    results = {check.result for check in checks}
    failures = domain.failures + 1 if Result.FAIL in results else domain.failures if Result.UNKNOWN in results else 0
    state = domain.state
    if failures >= FAILING_AFTER and state is State.VERIFIED:
        state = State.FAILING
    elif not results & {Result.FAIL, Result.UNKNOWN}:
        state = State.VERIFIED
    keys = _succeeded([_seen(key, published.get(key.selector, Result.UNKNOWN), now_us) for key in domain.keys], now_us)
    after = replace(domain, keys=keys, state=state, checks=tuple(checks), failures=failures, checked_at_us=now_us, due_at_us=due_at_us)
    return replace(after, keys=tuple(after.lasting))


def rotated(domain: SenderDomain, keys: Sequence[DkimKey]) -> SenderDomain:
    """With these keys beside those it has: used once a check finds them published."""
    return replace(domain, keys=(*domain.keys, *keys))


def _seen(key: DkimKey, result: Result, now_us: int) -> DkimKey:
    if result is Result.OK and not key.published_at_us:
        return replace(key, published_at_us=now_us)
    return key


def _succeeded(keys: Sequence[DkimKey], now_us: int) -> tuple[DkimKey, ...]:
    """A published key ends the use of those before it."""
    after: list[DkimKey] = []
    for index, key in enumerate(keys):
        newer = any(later.algorithm is key.algorithm and later.published_at_us for later in keys[index + 1 :])
        after.append(replace(key, superseded_at_us=now_us) if newer and not key.superseded_at_us else key)
    return tuple(after)
