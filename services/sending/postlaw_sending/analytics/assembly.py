"""Analytics, wired by hand. Nothing is opened here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from postlaw_common.bus import Received
from postlaw_common.consumers import Consumer
from postlaw_common.platform import Platform
from postlaw_common.service import Background
from postlaw_sending.analytics.counting import Cells
from postlaw_sending.analytics.figures import FIGURES, FigureSheets
from postlaw_sending.analytics.people import TRACKED_PEOPLE, TrackedPeople
from postlaw_sending.analytics.projecting import analytics_consumer
from postlaw_sending.analytics.reading import ReadAnalytics
from postlaw_sending.analytics.reconciling import Reconcile
from postlaw_sending.campaigns.campaigns import Campaigns
from postlaw_sending.campaigns.domain.recipients import Tally

COLLECTIONS = (FIGURES, TRACKED_PEOPLE)


@dataclass(frozen=True, slots=True)
class AnalyticsParts:
    read: ReadAnalytics
    reconcile: Reconcile
    consumer: Consumer
    reconciling: Background
    cells: Callable[[str], Awaitable[Cells]]


def assemble_analytics(
    platform: Platform,
    database: str,
    campaigns: Campaigns,
    tally: Callable[[str], Awaitable[Tally]],
    hear: Callable[[list[Received]], Awaitable[None]],
) -> AnalyticsParts:
    """`database`: sending's own. `tally`: of a campaign's settled batches. `hear`: see analytics_consumer."""
    store = platform.store(database)
    sheets = FigureSheets(lambda: store.collection(FIGURES.name))
    people = TrackedPeople(lambda: store.collection(TRACKED_PEOPLE.name))
    reconcile = Reconcile(platform.bus, sheets, tally)
    return AnalyticsParts(
        ReadAnalytics(campaigns, sheets, people),
        reconcile,
        analytics_consumer(sheets, people, hear),
        Background("holding analytics against the events", reconcile.run),
        sheets.of_campaign,
    )
