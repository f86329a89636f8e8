"""Announcements as records: sequence and partition by the thing that they tell about, so that its events stay in order."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_common.bus import Record
from postlaw_common.events import new_event, partition_of, to_record
from postlaw_identity.domain.announcements import Announcement, SenderIdentityChanged, SigningKeyRotated, TenantCreated

RING = "signing-keys"  # the subject of the ring's events


class Announcing:
    """`encode` gives an announcement's type and bytes (wire.encode); `partitions` the installation's count."""

    def __init__(self, topic: str, encode: Callable[[Announcement], tuple[str, bytes]], partitions: Callable[[], int]) -> None:
        self._topic = topic
        self._encode = encode
        self._partitions = partitions

    def record(self, announcement: Announcement, time_us: int) -> Record:
        """In the current caller's name."""
        if isinstance(announcement, TenantCreated | SenderIdentityChanged):
            tenant = announcement.tenant if isinstance(announcement, TenantCreated) else announcement.after
            subject, sequence, tenant_id = tenant.tenant_id, tenant.version, tenant.tenant_id
        elif isinstance(announcement, SigningKeyRotated):
            subject, sequence, tenant_id = RING, announcement.ring_version, ""
        else:
            key = announcement.api_key
            subject, sequence, tenant_id = key.api_key_id, key.version, key.tenant_id
        type, data = self._encode(announcement)
        event = new_event(type, data, source="identity", subject=subject, sequence=sequence, tenant_id=tenant_id, time_us=time_us)
        return to_record(event, self._topic, partition_of(subject, self._partitions()))
