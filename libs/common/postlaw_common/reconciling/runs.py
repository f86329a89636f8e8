"""Checks when they are due, each by one process at a time: its document says who is at it, how far, and what was found.

As elsewhere (design §3) time only decides when a runner counts as lost: its document has stood still for a lease time on the observer's own
clock. Another one then goes on from the last cursor. Each page is one write at the document's version, so one that was overtaken stops.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import asdict
from typing import Final

from postlaw_common.bus import Bus
from postlaw_common.consumers import OUTAGES
from postlaw_common.errors import Conflict
from postlaw_common.ids import new_id
from postlaw_common.reconciling import Check, Difference, ReconcilingSettings, Step
from postlaw_common.reconciling.wire import differed, finished, result_record
from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, VersionConflict
from postlaw_common.telemetry import get_logger
from postlaw_common.telemetry.gauges import Gauge

RECONCILIATIONS: Final = CollectionSpec("reconciliations")
TOLD: Final = 100  # differences of a run: a store that was set back differs everywhere
MOST_TOLD: Final = 1_000  # with the first of each customer that comes later: who has none is not told that theirs agree
LEASE_S: Final = 120.0
LOOK_EVERY_S: Final = 30.0

_log = get_logger("reconciling")
_differing = Gauge("postlaw.reconcile.differences", "{difference}", "What differed when a check last looked, by check", max)


class Reconciler:
    """`collection`: `reconciliations` of the service's own database. `owner`: this process."""

    def __init__(
        self,
        service: str,
        bus: Bus,
        collection: Callable[[], Collection],
        checks: Sequence[Check],
        settings: ReconcilingSettings,
        now_us: Callable[[], int],
        owner: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._bus = bus
        self._open = collection
        self._checks = checks
        self._every_us = int(settings.every_s * 1e6)
        self._now_us = now_us
        self._owner = owner
        self._monotonic = monotonic
        self._seen: dict[str, tuple[int, float]] = {}  # by check: the document's version, and since when it stands
        self._differed: dict[str, int] = {}
        self._at_it: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # by check: what is unfinished and ours was given up

    async def run(self) -> None:
        """A background."""
        with ExitStack() as shown:
            for check in self._checks:
                shown.enter_context(
                    _differing.shows(lambda name=check.name: self._differed.get(name), service=self._service, check=check.name)
                )
            while True:
                for check in self._checks:
                    try:
                        await self.look(check, asked=False)
                    except VersionConflict:
                        _log.info("another process reconciles", check=check.name)
                    except OUTAGES as away:
                        _log.warning("reconciling waits", check=check.name, failure=type(away).__name__)
                    except Exception as failed:  # what a check cannot read must not stop the service
                        _log.alert("a check failed", check=check.name, exc_info=failed)
                await asyncio.sleep(LOOK_EVERY_S)

    async def now(self) -> list[Document]:
        """Every check, from its beginning; its document as it ends. Raises Conflict where another process is at it."""
        try:
            return [document for check in self._checks if (document := await self.look(check, asked=True))]
        except VersionConflict:
            raise Conflict("Another process is reconciling this now. Ask again when it is done.") from None

    async def look(self, check: Check, *, asked: bool) -> Document | None:
        """Where it is due, or asked for; None where it is not. In one process one after the other.

        Raises VersionConflict where another process came in between."""
        async with self._at_it[check.name]:
            return await self._look(check, asked=asked)

    async def _look(self, check: Check, *, asked: bool) -> Document | None:
        document = await self._mine(check.name, asked=asked)
        if document is None:
            return None
        async with aclosing(check.look(document["cursor"])) as steps:
            async for step in steps:
                document = await self._note(check.name, document, step)
        document = await self._open().replace(document | {"owner": "", "finished_us": self._now_us()}, version=document["v"])
        self._differed[check.name] = document["differences"]
        await self._bus.publish([result_record(self._bus, *finished(self._service, document))])
        if document["differences"]:
            _log.alert("two sources differ", check=check.name, differences=document["differences"], run_id=document["run_id"])
        return document

    async def _mine(self, name: str, *, asked: bool) -> Document | None:
        document = await self._open().get(name, linearizable=True)
        if document is None:
            fresh = self._begun(name)
            if not asked:  # the first look comes when it is due, not in the middle of the first campaign
                fresh |= {"owner": "", "run_id": "", "finished_us": self._now_us()}
            try:
                await self._open().insert(fresh)
            except AlreadyExists:
                raise VersionConflict(f"another process has begun {name}") from None
            return fresh | {"v": 1} if asked else None
        if document["finished_us"]:
            if document["run_id"]:
                self._differed[name] = document["differences"]
            if not asked and self._now_us() - document["began_us"] < self._every_us:
                return None
            return await self._open().replace(self._begun(name), version=document["v"])
        if document["owner"] != self._owner and not self._lost(name, document["v"]):
            if asked:
                raise VersionConflict(f"another process is at {name}")
            return None
        going_on = document | {"owner": self._owner} if document["cursor"] else self._begun(name)
        return await self._open().replace(going_on, version=document["v"])

    def _lost(self, name: str, version: int) -> bool:
        seen = self._seen.get(name)
        if seen is None or seen[0] != version:
            self._seen[name] = seen = (version, self._monotonic())
        return self._monotonic() - seen[1] >= LEASE_S

    def _begun(self, name: str) -> Document:
        return {
            "_id": name,
            "owner": self._owner,
            "run_id": new_id("rec"),
            "cursor": "",
            "began_us": self._now_us(),
            "finished_us": 0,
            "looked_at": 0,
            "differences": 0,
            "found": "[]",
        }

    async def _note(self, name: str, document: Document, step: Step) -> Document:
        """The events first: what a crash in between tells twice is better than what nobody is told."""
        found: list[Difference] = [Difference(one["what"], tuple(one["ids"]), one["tenant_id"]) for one in json.loads(document["found"])]
        fresh = _to_tell(found, step.differences)
        if fresh:
            told = [differed(self._service, name, document["run_id"], one) for one in fresh]
            await self._bus.publish([result_record(self._bus, *one) for one in told])
        return await self._open().replace(
            document
            | {
                "cursor": step.cursor,
                "looked_at": document["looked_at"] + step.looked_at,
                "differences": document["differences"] + len(step.differences),
                "found": json.dumps([asdict(one) for one in (*found, *fresh)]),
            },
            version=document["v"],
        )


def _to_tell(before: Sequence[Difference], some: Sequence[Difference]) -> list[Difference]:
    told, whose = [*before], {one.tenant_id for one in before}
    for one in some:
        if len(told) < TOLD or (one.tenant_id not in whose and len(told) < MOST_TOLD):
            told.append(one)
            whose.add(one.tenant_id)
    return told[len(before) :]
