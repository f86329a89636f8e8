"""What events tell of people's signs, and of those of whom nothing is kept any more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from postlaw.consent.v1 import consent_pb2 as consent
from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Received
from postlaw_sending.campaigns.wire import micros
from postlaw_sending.stop.wire import CONSENT_EVENTS
from postlaw_sending.tracking.wire import TRACKING

_BY_A_PERSON: Final = b"person:"  # an actor's kind
# After these nobody could give a sign for a while: silence begins anew with the next campaign that may reach them.
_ENDS: Final = frozenset({
    consent.ConsentEvent.KIND_WITHDRAWN, consent.ConsentEvent.KIND_REFUSED, consent.ConsentEvent.KIND_COMPLAINED,
    consent.ConsentEvent.KIND_EXPIRED, consent.ConsentEvent.KIND_INVALIDATED, consent.ConsentEvent.KIND_OBJECTED,
    consent.ConsentEvent.KIND_RESTRICTED, consent.ConsentEvent.KIND_PAUSED, consent.ConsentEvent.KIND_TRACKING_WITHDRAWN,
    consent.ConsentEvent.KIND_ERASED,
})  # fmt: skip
_ENDS_IN_BYTES: Final = re.compile(b"\\x%02x[%b]" % (consent.ConsentEvent.KIND_FIELD_NUMBER << 3, re.escape(bytes(_ENDS))))
_TYPED_IN: Final = (consent.ConsentEvent.KIND_REQUESTED, consent.ConsentEvent.KIND_GIVEN)  # where a form is their source

Person = tuple[str, bytes]


def signs_in(records: Iterable[Received]) -> dict[Person, int]:
    """By customer and address key, when somebody last gave a sign: opened or clicked, and no machine did it for them, or did something on
    a page that a mail of theirs leads to."""
    found: dict[Person, int] = {}
    for record in records:
        for person, at_us in _READ[record.topic](record) if record.topic in _READ else ():
            found[person] = max(at_us, found.get(person, 0))
    return found


def gone_in(records: Iterable[Received]) -> set[Person]:
    """Who may not be mailed, or watched, for a while or for good: by customer and address key."""
    found: set[Person] = set()
    for record in records:
        # Most events are an import's: they are not worth their parsing.
        if record.topic == CONSENT_EVENTS and _ENDS_IN_BYTES.search(record.value):
            event = consent.ConsentEvent.FromString(record.value)
            if event.kind in _ENDS:
                found.add((event.tenant_id, event.address_key))
    return found


def _tracked(record: Received) -> Iterator[tuple[Person, int]]:
    event = sending.HitsRecorded.FromString(record.value)
    for hit in event.hits:
        if hit.address_key and not hit.machine:
            yield (event.tenant_id, hit.address_key), micros(hit.at)


def _on_a_page(record: Received) -> Iterator[tuple[Person, int]]:
    if not record.headers.get("ce_actor", b"").startswith(_BY_A_PERSON):
        return  # unparsed: most are
    event = consent.ConsentEvent.FromString(record.value)
    # Anybody can type an address into a form: that is no sign of whoever reads there.
    if not (event.kind in _TYPED_IN and event.source.startswith("form ")):
        yield (event.tenant_id, event.address_key), micros(event.recorded_at)


_READ: Final = {TRACKING: _tracked, CONSENT_EVENTS: _on_a_page}
