"""Returns as protobuf."""

from __future__ import annotations

from typing import Final, Literal

from google.protobuf.timestamp_pb2 import Timestamp

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.bus import Record
from postlaw_common.events import new_event, partition_of, to_record
from postlaw_sending.returns.notices import Notice
from postlaw_sending.returns.people import About
from postlaw_sending.returns.received import Mail
from postlaw_sending.returns.returned import Class, Kind
from postlaw_sending.returns.verdict import Verdict

RETURNS: Final = "postlaw.sending.returns.v1"
HOLDS: Final = "postlaw.sending.holds.v1"
HOLD_CHANGED: Final = "postlaw.sending.SendingHoldChanged"
MESSAGE_RETURNED: Final = "postlaw.sending.MessageReturned"

_KINDS: Final[dict[Kind | Literal["unsubscribe"], sending.MessageReturned.Kind.ValueType]] = {
    "dsn": sending.MessageReturned.KIND_BOUNCE,
    "arf": sending.MessageReturned.KIND_COMPLAINT,
    "auto-reply": sending.MessageReturned.KIND_AUTO_REPLY,
    "unsubscribe": sending.MessageReturned.KIND_UNSUBSCRIBE,
    "none": sending.MessageReturned.KIND_UNSPECIFIED,
}
_CLASSES: Final[dict[Class, sending.MessageReturned.Class.ValueType]] = {
    "hard": sending.MessageReturned.CLASS_HARD,
    "soft": sending.MessageReturned.CLASS_SOFT,
    "complaint": sending.MessageReturned.CLASS_UNSPECIFIED,
    "none": sending.MessageReturned.CLASS_UNSPECIFIED,
}


def returned_record(mail: Mail, about: About, verdict: Verdict, *, stopped: bool, partitions: int) -> Record:
    """The one event of a mail: its id was noted when the mail was taken, so a repeat is the same event."""
    received_at = Timestamp()
    received_at.FromMicroseconds(mail.received_at_us)
    said = sending.MessageReturned(
        tenant_id=about.tenant_id,
        campaign_id=about.campaign_id,
        address_key=about.address_key,
        subscriber_id=about.subscriber_id,
        kind=_KINDS[verdict.kind],
        outcome=_CLASSES[verdict.cls],
        status=verdict.status,
        received_at=received_at,
        stopped=stopped,
        refused=isinstance(mail.about, Notice) and mail.about.source == "smtp",
    )
    event = new_event(
        MESSAGE_RETURNED,
        said.SerializeToString(),
        source="sending",
        subject=about.campaign_id,
        sequence=0,
        tenant_id=about.tenant_id,
        event_id=mail.event_id,
        time_us=mail.received_at_us,
    )
    return to_record(event, RETURNS, partition_of(about.campaign_id, partitions))


def hold_record(tenant_id: str, id: str, provider: str, because: str, version: int, partitions: int) -> Record:
    """`because` "": it was released."""
    said = sending.SendingHoldChanged(
        tenant_id=tenant_id, id=id, provider=provider, held=bool(because), because=because, version=version
    ).SerializeToString()
    event = new_event(HOLD_CHANGED, said, source="sending", subject=id, sequence=version, tenant_id=tenant_id)
    return to_record(event, HOLDS, partition_of(id, partitions))
