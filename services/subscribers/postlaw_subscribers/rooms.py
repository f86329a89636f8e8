"""What every use case works with: the documents, the keys, and how events leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from postlaw_common.bus import Record
from postlaw_common.caller import Actor
from postlaw_common.errors import Invalid, NotFound
from postlaw_common.keys.customer import CustomerKeys
from postlaw_common.outbox import Outbox
from postlaw_common.placement import Placement
from postlaw_subscribers.addresses import InvalidAddress, normalise
from postlaw_subscribers.digests import Digests
from postlaw_subscribers.domain.import_job import ImportJob
from postlaw_subscribers.domain.person import AddressIndex, MailingList, Person
from postlaw_subscribers.domain.row_evidence import Variant
from postlaw_subscribers.everywhere import Everywhere
from postlaw_subscribers.jobs import Jobs
from postlaw_subscribers.lists import Lists
from postlaw_subscribers.members import Members
from postlaw_subscribers.people import People
from postlaw_subscribers.person_keys import PersonKeys
from postlaw_subscribers.uploads import Uploads

TOPIC = "postlaw.subscribers.events.v1"
INDEX = "address-index"  # the purpose of the customer's key under which addresses are hashed


class Events(Protocol):
    """Makes the records that announce a change; wire.py does."""

    def list_created(self, list_: MailingList) -> Record: ...

    def list_changed(self, list_: MailingList) -> Record: ...

    def import_changed(self, job: ImportJob, before: ImportJob | None) -> Record: ...

    def import_finished(self, job: ImportJob) -> Record: ...

    def subscriber_changed(self, person: Person, changed: Sequence[str]) -> Record: ...

    def subscriber_deleted(self, tenant_id: str, subscriber_id: str, address_key: bytes, version: int) -> Record: ...


def normalised_address(address: str) -> str:
    """As mail is sent to it. Raises Invalid."""
    try:
        return normalise(address.strip())
    except InvalidAddress as error:
        raise Invalid(f"The address cannot be mailed to: {error}", type="invalid-address") from None


class PlatformStop(Protocol):
    """Consent's ledger, for what whoever runs the installation says. `by` them."""

    async def stop(self, tenant_id: str, address_key: bytes, reason: str, by: Actor) -> bool:
        """Through the stop: whether no mail is under way or will begin. Raises PostlawError."""
        ...

    async def lift(self, tenant_id: str, address_key: bytes, reason: str, by: Actor) -> bool:
        """Whether there was anything to lift. Raises PostlawError."""
        ...

    async def met(self, tenant_id: str, address_keys: Sequence[bytes], reason: str, by: Actor, since_us: int) -> None:
        """People who have come after they were stopped everywhere, 4,000 at most, each once. Raises PostlawError."""
        ...


class StopListed(Protocol):
    """Stops people whom a suppression list names, in consent's ledger, as the import says that brought the list."""

    async def __call__(self, tenant_id: str, import_id: str, address_keys: Sequence[bytes]) -> None:
        """4,000 at most, each once; what it did before it does not do again. Raises PostlawError."""
        ...


@dataclass(frozen=True, slots=True)
class Rooms:
    people: People
    members: Members
    lists: Lists
    jobs: Jobs
    uploads: Uploads
    person_keys: PersonKeys
    customer_keys: CustomerKeys
    digests: Digests
    stop_listed: StopListed
    everywhere: Everywhere
    platform_stop: PlatformStop
    outbox: Outbox
    events: Events
    placement: Callable[[], Placement]
    now_us: Callable[[], int]

    async def index(self, tenant_id: str) -> AddressIndex:
        version, key = await self.customer_keys.get(tenant_id, INDEX)
        return AddressIndex(version, key)

    async def address_key(self, tenant_id: str, address: str) -> tuple[str, bytes]:
        """(normalised address, address key). Raises Invalid."""
        normalised = normalised_address(address)
        return normalised, (await self.index(tenant_id)).key_of(normalised)

    async def check_lists(self, tenant_id: str, list_ids: Sequence[str]) -> None:
        """Raises NotFound for a list that this customer does not have."""
        for list_id in dict.fromkeys(list_ids):
            if await self.lists.get(tenant_id, list_id) is None:
                raise NotFound(f"There is no list {list_id}.")


@dataclass(frozen=True, slots=True)
class Consents:
    """The consents of some people, in which they differ: of each the place of their variant, their evidence, sealed, and when they gave it
    (microseconds since the epoch, 0 as attested); each list empty where nobody has any."""

    address_keys: list[bytes]
    variants: list[Variant] = field(default_factory=list[Variant])
    variant_of: list[int] = field(default_factory=list[int])
    evidence: list[bytes] = field(default_factory=list[bytes])
    given_at_us: list[int] = field(default_factory=list[int])


class ConsentLedger(Protocol):
    """Consent's ledger, for one import: it knows the attestation that all rows share."""

    async def record(self, list_id: str, consents: Consents, sealed_attestation: bytes) -> int:
        """Records them all, 4,000 at most; what was recorded before stays as it is. How many of them gave theirs at a time at which the
        wording, by its notice's dates, was not shown. Raises PostlawError.

        `sealed_attestation`: what the customer says of all of them, sealed under the customer's key."""
        ...


class SuppressionLedger(Protocol):
    """Consent's ledger, for the import of one suppression list: it knows whose list it is."""

    async def suppress(self, address_keys: Sequence[bytes], sealed_attestation: bytes) -> set[bytes]:
        """Stops them in everything, 4,000 at most; those of them who were stopped before, by something else. Raises PostlawError."""
        ...
