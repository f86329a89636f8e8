"""Single messages, wired by hand. Nothing is opened here."""

from __future__ import annotations

from dataclasses import dataclass

from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.platform import Platform
from postlaw_common.service import Background
from postlaw_sending.campaigns.clients import Identity
from postlaw_sending.campaigns.use_cases.move_campaign import SenderCheck
from postlaw_sending.singles.send_message import SendMessage
from postlaw_sending.singles.singles import MESSAGES, Singles

COLLECTIONS = (MESSAGES,)


@dataclass(frozen=True, slots=True)
class SingleParts:
    singles: Singles
    send: SendMessage
    sweeping: Background


def assemble_singles(platform: Platform, database: str, may_send_from: SenderCheck | None, fallback: str) -> SingleParts:
    """`database`: sending's own, where the customers' keys are, too. `may_send_from`, `fallback`: see SendMessage."""
    store = platform.store(database)
    keys = CustomerKeys(store, platform.root_key)
    singles = Singles(lambda: store.collection(MESSAGES.name), keys, platform.bus, platform.now_us)
    contact = Identity(platform.channel).contact
    send = SendMessage(singles, contact, may_send_from, fallback, platform.placement, platform.generation, platform.now_us)
    return SingleParts(singles, send, Background("single messages", singles.run))
