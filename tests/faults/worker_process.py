"""A sending worker that can be told where to die: `FAULTS_DIE_AT=claim:after:3` kills it right after its third durable claim.

Points: `take`, `claim`, `note` (writes of a holding: a take-over, one with open claims, any other), `roll` (its own beat), `mark`,
`settled` (publishes: a watermark, the event of a batch), `mail` (a socket write); `before` and `after`, and for `mail` also
`half`: half of the bytes are with the kernel. The wrapping lives here, so that the product knows nothing of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any, cast

from postlaw_common.bus import Record
from postlaw_common.bus.kafka import KafkaBus
from postlaw_common.runner import run_alone
from postlaw_common.settings import load
from postlaw_common.store.mongodb import MongoCollection
from postlaw_sending.delivery.connection import Connection
from postlaw_sending.service import build
from postlaw_sending.settings import SendingSettings
from postlaw_sending.stop.holding import from_document
from postlaw_sending.stop.wire import OUTCOMES, WATERMARKS
from tests.faults.death import Death

Document = dict[str, Any]


class MortalTransport:
    """A transport whose writes are counted."""

    def __init__(self, transport: asyncio.Transport, death: Death) -> None:
        self._transport = transport
        self._death = death

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        now = b"MAIL FROM" in data and self._death.passes("mail")
        if now and self._death.side == "half":
            self._transport.write(data[: len(data) // 2])
        elif not (now and self._death.side == "before"):
            self._transport.write(data)
        if now:
            self._death.die()


def arm(death: Death) -> None:
    replace, publish, made = MongoCollection.replace, KafkaBus.publish, Connection.connection_made
    epochs: dict[str, int] = {}

    def point_of(document: Document) -> str:
        id, epoch = document["_id"], document.get("epoch")
        if epoch is None:
            return "roll"
        if epochs.get(id) != epoch:
            epochs[id] = epoch
            return "take"
        return "claim" if from_document({**document, "v": 0}).claims else "note"

    async def dying_replace(self: MongoCollection, document: Document, *, version: int) -> Document:
        return await death.around(point_of(document), lambda: replace(self, document, version=version))

    async def dying_publish(self: KafkaBus, records: Sequence[Record]) -> list[int]:
        point = {WATERMARKS: "mark", OUTCOMES: "settled"}.get(records[0].topic if records else "", "")
        return await death.around(point, lambda: publish(self, records))

    def dying_made(self: Connection, transport: asyncio.BaseTransport) -> None:
        made(self, cast("asyncio.Transport", MortalTransport(cast("asyncio.Transport", transport), death)))

    MongoCollection.replace = dying_replace
    KafkaBus.publish = dying_publish
    Connection.connection_made = dying_made


if __name__ == "__main__":
    if spec := os.environ.get("FAULTS_DIE_AT"):
        arm(Death(spec))
    run_alone("sending", lambda platform: build(platform, load(SendingSettings)))
