"""A single message: the attempts to deliver it, each under an id of its own, of which one at most is open at a time.

An attempt's id stands where a batch has its campaign's, and its one batch has the number 0. So the worker takes it once, by the
rule that it has for campaigns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from postlaw_common.ids import new_id, time_ms_of
from postlaw_sending.campaigns.domain.campaign import Sender
from postlaw_sending.campaigns.domain.recipients import State

_PREFIX = "msg"
HOUR_US = 3600 * 1_000_000
# Within this time of its making an attempt may be published again. A worker forgets the numbers of an ended campaign, and so an
# attempt's: after ENDED_AFTER_US, when no copy of it can come any more.
PUBLISHED_WITHIN_US = HOUR_US // 2
ENDED_AFTER_US = HOUR_US
# After this time nobody waits for the worker any longer.
LIFE_US = 25 * HOUR_US


@dataclass(frozen=True, slots=True)
class Decided:
    """On what the first gate decided, as in a campaign's batches. Times in microseconds since the epoch."""

    consent_offset: int
    generation: str
    law_version: str
    decided_at_us: int
    expires_at_us: int
    inputs_hash: bytes


@dataclass(frozen=True, slots=True)
class Addressee:
    """Who gets a message. `subscriber_id` "": somebody whom the customer has on no list. `fields`: of the message and theirs."""

    address_key: bytes
    subscriber_id: str
    address: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Words:
    """Whose words a customer's own message has: an approved template's version, or a campaign's (to a team address; `variant` of its A/B
    test, from 1; `test`: its subject says so). `sender`: of a template's, None otherwise. `contact`: as its footer names it."""

    message_id: str
    contact: str
    template_id: str = ""
    template_version: int = 0
    sender: Sender | None = None
    campaign_id: str = ""
    variant: int = 0
    test: bool = False


@dataclass(frozen=True, slots=True)
class SentSingle:
    """To whom a single message went, for what comes back of it. `brand`: of its scope, "" for none."""

    tenant_id: str
    message_id: str
    brand: str
    address_key: bytes


@dataclass(frozen=True, slots=True)
class Handed:
    """A single message as it stands. `state`: what became of it, None before its end. `handed_us`: when a server took it, 0 where none
    did, or where that was not noted."""

    tenant_id: str
    message_id: str
    attempt_id: str
    address_key: bytes
    state: State | None
    handed_us: int


def attempt_id() -> str:
    return new_id(_PREFIX)


def is_attempt(campaign_id: str) -> bool:
    return campaign_id.startswith(_PREFIX + "_")


def made_at_us(attempt: str) -> int:
    return time_ms_of(attempt) * 1000


def status_of(attempt: str, now_us: int) -> str:
    """As a campaign's status, for the worker: it may be sent at any time; "finished" says that its number may be forgotten."""
    return "finished" if now_us - made_at_us(attempt) > ENDED_AFTER_US else "sending"
