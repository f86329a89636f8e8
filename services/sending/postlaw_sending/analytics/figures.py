"""Counts in the store: one document for each campaign and partition of a topic, written together with how far it counts.

A record counts when it lies beyond that offset, and its event is none of those that were counted last: a worker that was killed publishes
a batch again, soon afterwards and under the same id.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from postlaw_common.store import Collection, CollectionSpec, Document, Index, VersionConflict
from postlaw_sending.analytics.counting import Cells

FIGURES = CollectionSpec("figures", (Index("tenant_id"), Index("campaign_id")))
REMEMBERED: Final = 64  # events of a document: far more than a lost worker has to publish again of one campaign


@dataclass(frozen=True, slots=True)
class Counted:
    """What one event comes to."""

    tenant_id: str
    campaign_id: str
    topic: str
    partition: int
    offset: int
    event_id: str
    cells: Cells

    @property
    def place(self) -> str:
        return f"{self.campaign_id}/{self.topic}/{self.partition}"


@dataclass(slots=True)
class Sheet:
    """The counts of one document. `offset`: up to which it counts, `first`: from which on."""

    tenant_id: str
    campaign_id: str
    first: int = -1
    offset: int = -1
    events: list[str] = field(default_factory=list[str])
    cells: Cells = field(default_factory=Counter[str])

    def add(self, one: Counted) -> None:
        if one.offset <= self.offset:
            return
        self.first = one.offset if self.first < 0 else self.first
        self.offset = one.offset
        if one.event_id in self.events:
            return
        self.events = [*self.events[-REMEMBERED + 1 :], one.event_id]
        self.cells.update(one.cells)


class FigureSheets:
    """`collection`: `figures` of the database `sending`."""

    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._open = collection

    async def add(self, some: Sequence[Counted]) -> None:
        """Each once, however often it is given."""
        by_place: defaultdict[str, list[Counted]] = defaultdict(list)
        for one in some:
            by_place[one.place].append(one)
        if not by_place:
            return
        known = await self._open().get_many(list(by_place))
        fresh = {place: counted for place, counted in by_place.items() if place not in known}
        # A campaign's first event in each partition is most of what it has: read and written one by one they were a fifth of its calls.
        there = await self._open().insert_many([_document(place, _counting(*of)) for place, of in fresh.items()]) if fresh else ()
        for place in (*known, *there):
            await self._add(place, by_place[place], known.get(place))

    async def _add(self, place: str, counted: Sequence[Counted], document: Document | None) -> None:
        """`document`: as it may stand there, None where there may be none."""
        while document is None or counted[-1].offset > document["offset"]:
            sheet = _counting(*counted, sheet=sheet_of(document) if document else None)
            if await self.put(place, sheet, document["v"] if document else 0):
                return
            document = await self._open().get(place, linearizable=True)

    async def put(self, place: str, sheet: Sheet, version: int) -> bool:
        """False where somebody else wrote since `version` (0: there was none) was read."""
        document = _document(place, sheet)
        if not version:
            return not await self._open().insert_many([document])
        try:
            await self._open().replace(document, version=version)
        except VersionConflict:
            return False
        return True

    async def find(self, place: str) -> tuple[Sheet, int] | None:
        """(the sheet, its version)."""
        document = await self._open().get(place, linearizable=True)
        return (sheet_of(document), document["v"]) if document else None

    async def of_campaign(self, campaign_id: str) -> Cells:
        cells: Cells = Counter()
        async for page in self._open().scan("campaign_id", campaign_id):
            for document in page:
                cells.update(_cells(document))
        return cells

    async def of_tenant(self, tenant_id: str) -> Mapping[str, Cells]:
        """By campaign."""
        found: defaultdict[str, Cells] = defaultdict(Counter)
        async for page in self._open().scan("tenant_id", tenant_id):
            for document in page:
                found[document["campaign_id"]].update(_cells(document))
        return found


def _counting(*counted: Counted, sheet: Sheet | None = None) -> Sheet:
    """All of one place, added to its sheet or to a new one."""
    sheet = sheet or Sheet(counted[0].tenant_id, counted[0].campaign_id)
    for one in counted:
        sheet.add(one)
    return sheet


def _document(place: str, sheet: Sheet) -> Document:
    return {
        "_id": place,
        "tenant_id": sheet.tenant_id,
        "campaign_id": sheet.campaign_id,
        "first": sheet.first,
        "offset": sheet.offset,
        "events": sheet.events,
        "cells": [[cell, number] for cell, number in sorted(sheet.cells.items())],
    }


def sheet_of(document: Document) -> Sheet:
    names = ("tenant_id", "campaign_id", "first", "offset")
    said: dict[str, Any] = {name: document[name] for name in names}
    return Sheet(**said, events=list(document["events"]), cells=Counter(_cells(document)))


def _cells(document: Document) -> dict[str, int]:
    return dict(document["cells"])
