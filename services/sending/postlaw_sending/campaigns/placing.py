"""Who of an audience's pages gets it now, and who is kept back until when: of campaigns that keep anybody back, and of no others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from postlaw_sending.campaigns.clients import PAGE_SIZE, Page
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.campaigns.domain.pace import at_once
from postlaw_sending.campaigns.domain.plan import Kept, Plan
from postlaw_sending.campaigns.domain.schedule import reached_us
from postlaw_sending.campaigns.plans import place_id
from postlaw_sending.campaigns.wire import members, people_of

ZONE_FIELD = "time_zone"  # of a person, by its IANA name


def keep_back(campaign: Campaign, plan: Plan, pages: Sequence[Page], now_us: int) -> tuple[list[Page], list[Kept]]:
    """(pages of those who get it now, groups of the others). A throttled campaign keeps everybody back, for its pace acts on them."""
    due_us = _due(campaign)
    now: list[Page] = []
    later: defaultdict[int, list[tuple[bytes, str]]] = defaultdict(list)
    for page in pages:
        people = members(page.people)
        due = [due_us(person.fields) for person in people]
        mine = [person for person, at_us in zip(people, due, strict=True) if at_us <= now_us and not campaign.messages_per_hour]
        if mine:
            now.append(page if len(mine) == len(people) else Page([person.address_key for person in mine], people_of(mine)))
        for person, at_us in zip(people, due, strict=True):
            if at_us > now_us or campaign.messages_per_hour:
                later[at_us].append((person.address_key, person.subscriber_id))
    return now, _groups(campaign, plan, later)


def _due(campaign: Campaign) -> Callable[[Mapping[str, str]], int]:
    schedule = campaign.schedule
    if schedule is None or not schedule.local_time:
        return lambda fields: 0
    local_time, otherwise = schedule.local_time, schedule.time_zone
    return lambda fields: reached_us(local_time, fields.get(ZONE_FIELD, ""), otherwise)


def _groups(campaign: Campaign, plan: Plan, later: Mapping[int, Sequence[tuple[bytes, str]]]) -> list[Kept]:
    """Ids sort by time. The plan's count of its audience makes them unlike all before: who is kept back counts there."""
    size = at_once(campaign.messages_per_hour) if campaign.messages_per_hour else PAGE_SIZE
    place = place_id(campaign.campaign_id, plan.partition)
    groups: list[Kept] = []
    for due_us, people in sorted(later.items()):
        for start in range(0, len(people), size):
            id = f"{place}/{due_us:017d}/{plan.audience:012d}.{len(groups):04d}"
            keys, ids = zip(*people[start : start + size], strict=True)
            groups.append(Kept(id, due_us, keys, ids))
    return groups
