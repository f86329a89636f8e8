"""A holding: the one document of a partition that says who owns it, and what is about to be handed over.

Every write states the epoch that the writer holds; raising the epoch and returning the open claims are one write (rule 5).
The document is also the delivery ledger of its live batches: one byte of state a recipient.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

PENDING, CLAIMED, SENT, REFUSED, FAILED, BOUNCED, EXPIRED, UNKNOWN, DEFERRED = range(9)

# A paused process keeps its sockets: what it left open counts as under way for so long, unless its end is attested (design §3, rule 5).
LEFT_OPEN_US = 24 * 3600 * 1_000_000


class Place(NamedTuple):
    """Where a batch stands in the log of its partition: on the topic of single messages, or on that of campaigns' jobs."""

    single: bool
    offset: int


@dataclass(slots=True)
class OpenClaim:
    """Recipients of one batch that a worker is about to hand over. `tags` and `indexes` run side by side."""

    job_offset: int
    indexes: list[int]
    tags: list[bytes]
    scope: str
    single: bool = False

    @property
    def place(self) -> Place:
        return Place(self.single, self.job_offset)


@dataclass(slots=True)
class LeftOpen:
    """A recipient whose hand-off has no final reply, the worker that began it, and the epoch in which it did."""

    tag: bytes
    scope: str
    worker: str
    epoch: int
    since_us: int


@dataclass(slots=True)
class BatchRecord:
    """What the ledger keeps of a live batch. `states`, a byte each; `after_us`, four bytes each (little-endian);
    `transports`, a byte each as the contract has it; `reasons` by index, for those that were not simply sent."""

    job_offset: int
    event_id: str
    consent_offset: int
    started_at_us: int
    states: bytes
    after_us: bytes
    reasons: dict[int, str] = field(default_factory=dict[int, str])
    single: bool = False
    transports: bytes = b""

    @property
    def place(self) -> Place:
        return Place(self.single, self.job_offset)


@dataclass(slots=True)
class Holding:
    """`v` is the stored version that the next write replaces. `job_offset`, `single_offset`: the next record of campaigns' jobs and of
    single messages. `taken`: by campaign (for single messages: by attempt), the next batch number not yet taken.
    `generation`: of the topics, to which every offset here belongs; "" while nobody has held it."""

    partition: int
    owner: str | None = None
    epoch: int = 0
    renewals: int = 0
    generation: str = ""
    job_offset: int = 0
    single_offset: int = 0
    batches: list[BatchRecord] = field(default_factory=list[BatchRecord])
    claims: list[OpenClaim] = field(default_factory=list[OpenClaim])
    left_open: list[LeftOpen] = field(default_factory=list[LeftOpen])
    taken: dict[str, int] = field(default_factory=dict[str, int])
    v: int = 0

    def raise_epoch(self, new_owner: str | None, now_us: int) -> None:
        """Take-over: nobody below the new epoch may write again; what stood under an open claim becomes `unknown`."""
        batches = {batch.place: batch for batch in self.batches}
        for claim in self.claims:
            batch = batches[claim.place]
            states = bytearray(batch.states)
            for index, tag in zip(claim.indexes, claim.tags, strict=True):
                if states[index] == CLAIMED:
                    states[index] = UNKNOWN
                    batch.reasons[index] = "worker_lost"
                    self.left_open.append(LeftOpen(tag, claim.scope, self.owner or "", self.epoch, now_us))
            batch.states = bytes(states)
        self.claims = []
        self.owner = new_owner
        self.epoch += 1
        self.renewals += 1

    def enter(self, generation: str) -> None:
        """From here on its offsets are of this generation. Those of another are void: whoever was in its live batches is mailed no
        more, and of the jobs only those of this generation are taken. What was left open stays, and so do the numbers of batches."""
        if self.generation != generation:
            self.generation, self.batches, self.job_offset, self.single_offset = generation, [], 0, 0

    def next_offset(self, *, single: bool) -> int:
        """Of that topic, the first record not yet taken."""
        return self.single_offset if single else self.job_offset

    def pass_by(self, place: Place) -> None:
        """The record there has been taken, or leads to nothing."""
        if place.single:
            self.single_offset = max(self.single_offset, place.offset + 1)
        else:
            self.job_offset = max(self.job_offset, place.offset + 1)

    def lapse(self, now_us: int) -> None:
        """Forget what has stood open for longer than any process is assumed to stay paused."""
        if self.left_open:
            self.left_open = [entry for entry in self.left_open if now_us - entry.since_us < LEFT_OPEN_US]

    def names(self, tag: bytes) -> bool:
        """Whether a hand-off to this recipient may still be under way from an earlier holder, or stands under an open claim."""
        return any(entry.tag == tag for entry in self.left_open) or any(tag in claim.tags for claim in self.claims)


@dataclass(slots=True)
class _Live:
    """What of a holding is stored as one value, by the names of these fields."""

    batches: list[BatchRecord]
    claims: list[OpenClaim]
    left_open: list[LeftOpen]
    taken: dict[str, int]
    single_offset: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Live).decode


def holding_id(partition: int) -> str:
    return f"p{partition:04d}"


def to_document(holding: Holding) -> dict[str, Any]:
    """What changes with each claim is one value: a field costs each rewriting of the document, and each look at it."""
    return {
        "_id": holding_id(holding.partition),
        "partition": holding.partition,
        "owner": holding.owner,
        "epoch": holding.epoch,
        "renewals": holding.renewals,
        "generation": holding.generation,
        "job_offset": holding.job_offset,
        "live": _encode(_Live(holding.batches, holding.claims, holding.left_open, holding.taken, holding.single_offset)),
    }


def from_document(document: dict[str, Any]) -> Holding:
    live = _decode(document["live"])
    return Holding(
        partition=document["partition"],
        owner=document["owner"],
        epoch=document["epoch"],
        renewals=document["renewals"],
        generation=document["generation"],
        job_offset=document["job_offset"],
        single_offset=live.single_offset,
        batches=live.batches,
        claims=live.claims,
        left_open=live.left_open,
        taken=live.taken,
        v=document["v"],
    )
