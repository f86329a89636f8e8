"""Sender domains, wired by hand. Nothing is opened here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postlaw_common.bus import Topic
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.outbox import Outbox
from postlaw_common.platform import Platform
from postlaw_common.service import Background
from postlaw_common.store import Collection
from postlaw_sending.domains.checking import Checking, Expected
from postlaw_sending.domains.dkim_keys import DkimKeys
from postlaw_sending.domains.dns import Dns
from postlaw_sending.domains.sender_domains import DOMAIN_DOCUMENTS, SenderDomains
from postlaw_sending.domains.signing import Signers
from postlaw_sending.domains.use_cases.keep_domains import KeepDomains
from postlaw_sending.domains.wire import DOMAINS

COLLECTIONS = (DOMAIN_DOCUMENTS,)
TOPICS = (Topic(DOMAINS),)


@dataclass(frozen=True, slots=True)
class DomainParts:
    """`backgrounds` run beside the API."""

    domains: SenderDomains
    keep: KeepDomains
    signers: Signers
    backgrounds: Sequence[Background]


def assemble_domains(platform: Platform, database: str, dns: Dns, expected: Expected) -> DomainParts:
    """`database`: sending's own, where the customers' keys are, too."""
    store = platform.store(database)

    def opened() -> Collection:
        return store.collection(DOMAIN_DOCUMENTS.name)

    outbox = Outbox(platform.bus, lambda: [opened()])
    domains = SenderDomains(opened, outbox, lambda: platform.bus.partitions)
    keys = DkimKeys(CustomerKeys(store, platform.root_key), platform.now_us)
    keep = KeepDomains(domains, keys, Checking(dns, expected), platform.now_us)
    return DomainParts(domains, keep, Signers(domains, keys), (Background("domain outbox", outbox.run),))
