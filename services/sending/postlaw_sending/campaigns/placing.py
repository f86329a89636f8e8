"""Who of an audience's pages gets it now, and who is kept back until when: of campaigns that keep anybody back, and of no others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from postlaw_sending.campaigns.clients import PAGE_SIZE, Page
from postlaw_sending.campaigns.domain.campaign import Campaign
from postlaw_sending.campaigns.domain.pace import at_once
from postlaw_sending.campaigns.domain.plan import Kept, Plan
from postlaw_sending.campaigns.domain.schedule import reached_us
from postlaw_sending.campaigns.led import Led
from postlaw_sending.campaigns.plans import place_id
from postlaw_sending.campaigns.wire import Member, members, people_of

ZONE_FIELD = "time_zone"  # of a person, by its IANA name


class _Time(NamedTuple):
    due_us: int
    variant: int


def keep_back(led: Led, plan: Plan, pages: Sequence[Page], now_us: int) -> tuple[list[Page], list[Kept]]:
    """(pages of those who get it now, groups of the others), each of one variant. A throttled campaign keeps everybody back, for its
    pace acts on them."""
    campaign = led.campaign
    due_us = _due(campaign)
    now: defaultdict[int, list[Member]] = defaultdict(list)
    later: defaultdict[_Time, list[Member]] = defaultdict(list)
    for page in pages:
        for person in members(page.people):
            at = _Time(due_us(person.fields), led.variant(person.address_key))
            waits = at.due_us > now_us or campaign.messages_per_hour or (campaign.ab_test is not None and not at.variant)
            if waits:
                later[at].append(person)
            else:
                now[at.variant].append(person)
    ready = [
        Page([person.address_key for person in part], people_of(part)) for people in now.values() for part in _parts(people, PAGE_SIZE)
    ]
    return ready, _groups(campaign, plan, later)


def _due(campaign: Campaign) -> Callable[[Mapping[str, str]], int]:
    schedule = campaign.schedule
    if schedule is None or not schedule.local_time:
        return lambda fields: 0
    local_time, otherwise = schedule.local_time, schedule.time_zone
    return lambda fields: reached_us(local_time, fields.get(ZONE_FIELD, ""), otherwise)


def _groups(campaign: Campaign, plan: Plan, later: Mapping[_Time, Sequence[Member]]) -> list[Kept]:
    """Ids sort by time. The plan's count of its audience makes them unlike all before: who is kept back counts there."""
    size = at_once(campaign.messages_per_hour) if campaign.messages_per_hour else PAGE_SIZE
    place = place_id(campaign.campaign_id, plan.partition)
    groups: list[Kept] = []
    for at, people in sorted(later.items()):
        for part in _parts(people, size):
            id = f"{place}/{at.due_us:017d}/{plan.audience:012d}.{len(groups):04d}"
            keys, ids = tuple(person.address_key for person in part), tuple(person.subscriber_id for person in part)
            groups.append(Kept(id, at.due_us, keys, ids, undecided=campaign.ab_test is not None and not at.variant))
    return groups


def _parts(people: Sequence[Member], size: int) -> list[Sequence[Member]]:
    return [people[start : start + size] for start in range(0, len(people), size)]
