"""What is asked of the log, newest first: by the projection to entries, and each entry read and compared before it is an answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice

from postlaw_audit.reader import LogReader
from postlaw_audit.search.about import About, about
from postlaw_audit.search.events import Event, events_at
from postlaw_audit.search.indexing import Indexer
from postlaw_audit.search.postings import newest_first, up_to
from postlaw_audit.search.spans import RowsGone, Span
from postlaw_audit.search.terms import ACTION, ACTOR, ALL, CAMPAIGN, OBJECT, REQUEST, SUBSCRIBER, TRACE, person_term, term, trace_of
from postlaw_common.errors import Unavailable

_RUNS_AT_ONCE = 16
_READ_AT_ONCE = 32
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Question:
    """Of one customer. What is empty does not matter; of `people` (address keys) and `subscribers` (ids) one is enough, as of `actions`.
    Times in microseconds since the epoch, when the bus took the event: from `from_us` on, before `to_us` (0: none). `before`: entries
    below it (0: all)."""

    tenant_id: str
    people: tuple[bytes, ...] = ()
    subscribers: tuple[str, ...] = ()
    actor: str = ""
    object: str = ""
    actions: tuple[str, ...] = ()
    campaign_id: str = ""
    trace_id: str = ""
    request_id: str = ""
    from_us: int = 0
    to_us: int = 0
    before: int = 0

    def conditions(self) -> list[tuple[bytes, ...]]:
        """Terms of which an entry has one each."""
        named = (
            (ACTOR, self.actor), (OBJECT, self.object), (CAMPAIGN, self.campaign_id), (TRACE, self.trace_id), (REQUEST, self.request_id),
        )  # fmt: skip
        wanted: list[tuple[bytes, ...]] = [(term(self.tenant_id, kind, value),) for kind, value in named if value]
        if self.actions:
            wanted.append(tuple(term(self.tenant_id, ACTION, one) for one in self.actions))
        if self.people or self.subscribers:
            ids = (term(self.tenant_id, SUBSCRIBER, one) for one in self.subscribers)
            wanted.append((*map(person_term, self.people), *ids))
        return wanted or [(term(self.tenant_id, ALL, ""),)]

    def fits(self, event: Event, found: About) -> bool:
        """Terms are short: another thing's, and another customer's, may be the same."""
        entry, context = event.entry, event.entry.context
        return (
            entry.tenant_id == self.tenant_id
            and self.from_us <= entry.time_us < (self.to_us or entry.time_us + 1)
            and (not self.actor or self.actor in (context.get("actor"), context.get("on_behalf_of")))
            and (not self.object or self.object == entry.subject or self.object in found.objects)
            and (not self.actions or entry.type in self.actions)
            and (not self.campaign_id or self.campaign_id in found.campaigns)
            and self.trace_id in ("", trace_of(context.get("traceparent", "")))
            and self.request_id in ("", context.get("request"))
            and (
                not (self.people or self.subscribers)
                or not {*self.people}.isdisjoint(found.people)
                or not {*self.subscribers}.isdisjoint(found.subscribers)
            )
        )


@dataclass(frozen=True, slots=True)
class Found:
    """`more`: there are others below the last one. `below`: entries of a smaller index, and above nothing, were looked at."""

    events: Sequence[tuple[Event, About]]
    more: bool
    below: int


class Search:
    def __init__(self, reader: LogReader, indexer: Indexer) -> None:
        self._reader = reader
        self._indexer = indexer

    async def __call__(self, question: Question, limit: int) -> Found:
        """Newest first, of all that the log has when it is asked. Raises Unavailable."""
        for _ in range(_TRIES):
            try:
                return await self._found(question, limit)
            except RowsGone:
                await self._indexer.look_again()
        raise Unavailable(
            "The search index is being changed, or is damaged: try again, or have it made anew by `postlaw audit index rebuild`."
        )

    async def _found(self, question: Question, limit: int) -> Found:
        await self._indexer.follow()
        below = self._indexer.indexed
        events: list[tuple[Event, About]] = []
        async with aclosing(self._candidates(question, below)) as candidates:
            async for some in candidates:
                while read := list(islice(some, min(_READ_AT_ONCE, limit + 1 - len(events)))):
                    for event in await events_at(self._reader, read, below):
                        found = about(event.entry.type, event.data)
                        if question.fits(event, found):
                            events.append((event, found))
                    if len(events) > limit:
                        return Found(events[:limit], True, below)
        return Found(events, False, below)

    async def _candidates(self, question: Question, below: int) -> AsyncGenerator[Iterator[int]]:
        """Entries that may fit, newest first, in pieces."""
        conditions = question.conditions()
        before = min(question.before or below, below)
        generation, runs = self._indexer.generation, [run for run in self._indexer.runs if run.start < before]
        newest = self._indexer.newest
        last = newest.span(below)
        for found in newest.found(conditions, before):
            yield _within(last, found, question, before)
        at_once = 1  # what is common fills its page from one
        while runs:
            some, runs = runs[-at_once:], runs[:-at_once]
            at_once = min(_RUNS_AT_ONCE, 2 * at_once)
            spans = [span for run in some for span in run.spans if span.start < before and span.between(question.from_us, question.to_us)]
            wanted = {span.start for span in spans}
            by_span = await self._indexer.store.found(
                generation, [run for run in some if not wanted.isdisjoint(span.start for span in run.spans)], conditions
            )
            for span in reversed(spans):
                yield _within(span, by_span[span.start], question, before)


def _within(span: Span, found: int, question: Question, before: int) -> Iterator[int]:
    """Of what was found in it, the indexes that lie below and in the question's time, the newest first."""
    found &= span.between(question.from_us, question.to_us) & up_to(before - span.start)
    return (span.start + distance for distance in newest_first(found))
