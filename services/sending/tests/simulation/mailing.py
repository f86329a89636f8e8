"""Whom a run's campaigns are for, and their batches as a worker opens them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_sending.worker.live_batch import Recipient


@dataclass
class Person:
    number: int
    refusals: tuple[str, ...] = ()

    @property
    def address_key(self) -> bytes:
        return b"\x01" + self.number.to_bytes(32, "big")

    @property
    def subscriber_id(self) -> str:
        return f"sub_{self.number}"

    @property
    def address(self) -> str:
        return f"user{self.number}@example.com"


@dataclass
class Open:
    """A batch as a worker opens it; each message names its campaign in its envelope's recipient, for the receiver's books."""

    recipients: list[Any]
    campaign: str

    @property
    def compiled(self) -> Open:
        return self

    def render(self, recipient: Recipient) -> bytes:
        return b"hello"

    def envelope_from(self, recipient: Recipient) -> bytes:
        return b"news@example.org"


class Addressed(Person):
    """As `Person`, at an address that says which campaign it got."""

    campaign = ""

    @property
    def address(self) -> str:
        return f"{self.campaign}/{self.number}"


def opened(sealed: sending.SealedBatch) -> Open:
    people: list[Person] = []
    for word in sealed.sealed.decode().split():
        person = Addressed(int(word.rstrip("!")), ("withdrawn",) if word.endswith("!") else ())
        person.campaign = sealed.campaign_id
        people.append(person)
    return Open(people, sealed.campaign_id)
