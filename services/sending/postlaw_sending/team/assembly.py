"""Team addresses, wired by hand. Nothing is opened here."""

from __future__ import annotations

from dataclasses import dataclass

from postlaw_common.bus import Topic
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.outbox import Outbox
from postlaw_common.platform import Platform
from postlaw_common.service import Background
from postlaw_common.store import Collection
from postlaw_sending.campaigns.assembly import CampaignParts
from postlaw_sending.campaigns.use_cases.move_campaign import SenderCheck
from postlaw_sending.singles.send_message import SendMessage
from postlaw_sending.singles.send_single import Posting
from postlaw_sending.team.addresses import TEAM_ADDRESSES, TeamAddresses
from postlaw_sending.team.asking import AskTeam
from postlaw_sending.team.keep_team import KeepTeam
from postlaw_sending.team.send_copies import Seeding, SendCopies
from postlaw_sending.team.wire import TEAM

COLLECTIONS = (TEAM_ADDRESSES,)
TOPICS = (Topic(TEAM),)


@dataclass(frozen=True, slots=True)
class TeamParts:
    keep: KeepTeam
    copies: SendCopies
    seeding: Seeding
    sweeping: Background


def team_addresses_in(platform: Platform, database: str) -> tuple[TeamAddresses, Outbox]:
    """`database`: sending's own."""
    store = platform.store(database)

    def opened() -> Collection:
        return store.collection(TEAM_ADDRESSES.name)

    outbox = Outbox(platform.bus, lambda: [opened()])
    return TeamAddresses(opened, outbox, lambda: platform.bus.partitions, CustomerKeys(store, platform.root_key)), outbox


def assemble_team(
    platform: Platform, database: str, parts: CampaignParts, send: SendMessage, post: Posting, may_send_from: SenderCheck | None
) -> TeamParts:
    """`database`: sending's own."""
    addresses, outbox = team_addresses_in(platform, database)
    ask = AskTeam(parts.single_consent, parts.identity, send, platform.placement, platform.public_url)
    keep = KeepTeam(addresses, parts.subscribers, ask, parts.contexts, may_send_from, platform.now_us)
    copies = SendCopies(addresses, parts.campaigns, post, parts.identity, parts.contexts, may_send_from)
    return TeamParts(keep, copies, Seeding(copies), Background("team outbox", outbox.run))
