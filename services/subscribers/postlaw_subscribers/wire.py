"""Dataclasses ↔ protobuf, both ways, and the events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from google.protobuf.timestamp_pb2 import Timestamp

from postlaw.subscribers.v1 import subscribers_pb2 as pb
from postlaw_common.bus import Record
from postlaw_common.caller import maybe_current
from postlaw_common.events import new_event, to_record
from postlaw_common.placement import Placement
from postlaw_common.rpc.context_token import actor_message
from postlaw_subscribers.domain.digest import Format
from postlaw_subscribers.domain.import_job import Attestation, Columns, ImportJob, Settings, State
from postlaw_subscribers.domain.person import MailingList, OwnProfile, Person
from postlaw_subscribers.rooms import TOPIC

_SOURCE = "subscribers"
_STATES = {
    State.QUEUED: pb.Import.STATE_QUEUED,
    State.RUNNING: pb.Import.STATE_RUNNING,
    State.DONE: pb.Import.STATE_DONE,
    State.CANCELLED: pb.Import.STATE_CANCELLED,
    State.FAILED: pb.Import.STATE_FAILED,
}


def timestamp(us: int) -> Timestamp | None:
    """None for 0: not known."""
    if not us:
        return None
    made = Timestamp()
    made.FromMicroseconds(us)
    return made


def list_message(list_: MailingList) -> pb.List:
    return pb.List(
        list_id=list_.list_id,
        name=list_.name,
        description=list_.description,
        created_at=timestamp(list_.created_us),
        version=list_.version,
        brand=list_.brand,
        profile_fields=list_.profile_fields,
        time_zone=list_.time_zone,
    )


def list_of(message: pb.List, tenant_id: str) -> MailingList:
    return MailingList(
        tenant_id=tenant_id,
        list_id=message.list_id,
        name=message.name,
        description=message.description,
        created_us=message.created_at.ToMicroseconds(),
        version=message.version,
        brand=message.brand,
        profile_fields=tuple(message.profile_fields),
        time_zone=message.time_zone,
    )


def subscriber_message(person: Person) -> pb.Subscriber:
    return pb.Subscriber(
        subscriber_id=person.subscriber_id,
        address=person.profile.address,
        fields=dict(person.profile.fields),
        list_ids=person.list_ids,
        created_at=timestamp(person.created_us),
        updated_at=timestamp(person.updated_us),
        version=person.version,
        language=person.language,
    )


def profile_message(own: OwnProfile) -> pb.Profile:
    person = own.person
    return pb.Profile(
        subscriber_id=person.subscriber_id,
        address_key=person.address_key,
        address=person.profile.address,
        fields=[pb.ProfileField(name=name, value=person.profile.fields.get(name, "")) for name in own.shown],
        version=person.version,
    )


def settings_of(message: pb.ImportSettings) -> Settings:
    consent = None
    if message.HasField("consent"):
        told = message.consent
        collected_us = told.collected_at.ToMicroseconds() if told.HasField("collected_at") else 0
        consent = Attestation(
            source=told.source,
            wording=told.wording,
            attested_by=told.attested_by,
            collected_us=collected_us,
            held=tuple(told.held),
            territories=tuple(told.territories),
            relationship=told.relationship,
            language=told.language,
            method=told.method,
        )
    columns = Columns(
        address=message.address_column,
        territory=message.territory_column,
        grade=message.grade_column,
        time=message.time_column,
        ip=message.ip_column,
        form=message.form_column,
    )
    format = cast("Format", message.suppress.format or "address")  # another word is refused by Settings.problems
    return Settings(message.list_id, message.filename, message.encoding, columns, consent, message.suppress.source, format)


def settings_message(settings: Settings) -> pb.ImportSettings:
    columns = settings.columns
    message = pb.ImportSettings(
        list_id=settings.list_id,
        filename=settings.filename,
        encoding=settings.encoding,
        address_column=columns.address,
        territory_column=columns.territory,
        grade_column=columns.grade,
        time_column=columns.time,
        ip_column=columns.ip,
        form_column=columns.form,
    )
    if settings.consent is not None:
        told = settings.consent
        message.consent.CopyFrom(
            pb.ImportConsent(
                source=told.source,
                wording=told.wording,
                attested_by=told.attested_by,
                collected_at=timestamp(told.collected_us),
                held=told.held,
                territories=told.territories,
                relationship=told.relationship,
                language=told.language,
                method=told.method,
            )
        )
    if settings.suppress_source:
        message.suppress.source = settings.suppress_source
        message.suppress.format = settings.suppress_format
    return message


def import_message(job: ImportJob) -> pb.Import:
    counts = job.checkpoint.counts
    return pb.Import(
        import_id=job.import_id,
        list_id=job.settings.list_id,
        filename=job.settings.filename,
        state=_STATES[job.state],
        bytes_total=job.received,
        bytes_done=job.bytes_done,
        rows=counts.rows,
        added=counts.added,
        updated=counts.updated,
        unchanged=counts.unchanged,
        refused=counts.refused,
        refused_by_reason=dict(counts.refused_by_reason),
        failure=job.failure,
        created_at=timestamp(job.created_us),
        finished_at=timestamp(job.finished_us),
        version=job.version,
        warnings=dict(counts.warnings),
        flags=[pb.Import.Flag(what=flag.what, rows=flag.rows) for flag in job.checkpoint.flags],
        suppressed=counts.suppressed,
        already_suppressed=counts.already_suppressed,
        digests_kept=counts.digests_kept,
        people_checked=job.checkpoint.people.checked,
        people_matched=job.checkpoint.people.matched,
    )


def _told(job: ImportJob) -> pb.Import:
    """Without the file's name, which may tell who a person is."""
    told = import_message(job)
    told.ClearField("filename")
    return told


def audience_member(address_key: bytes, subscriber_id: str, address: str, fields: Mapping[str, str]) -> bytes:
    """An AudiencePeople of this person alone; several, one after the other, are an AudiencePeople of them all."""
    people = pb.AudiencePeople()
    member = people.members.add()
    member.address_key = address_key
    member.subscriber_id = subscriber_id
    member.address = address
    for name, value in fields.items():
        member.fields[name] = value
    return people.SerializeToString()


class SubscriberEvents:
    """The records that announce changes; a person's go to the partition that their consent events and jobs have."""

    def __init__(self, placement: Callable[[], Placement]) -> None:
        self._placement = placement

    def list_created(self, list_: MailingList) -> Record:
        data = pb.ListCreated(list=list_message(list_)).SerializeToString()
        return self._record("ListCreated", data, list_.tenant_id, list_.list_id, list_.version, list_.list_id.encode())

    def list_changed(self, list_: MailingList) -> Record:
        data = pb.ListChanged(list=list_message(list_)).SerializeToString()
        return self._record("ListChanged", data, list_.tenant_id, list_.list_id, list_.version, list_.list_id.encode())

    def import_changed(self, job: ImportJob, before: ImportJob | None) -> Record:
        """`before` None: it was begun. It has no place among the versions, which the job's end counts."""
        data = pb.ImportChanged(
            **{"import": _told(job)}, before=_STATES[before.state] if before else pb.Import.STATE_UNSPECIFIED
        ).SerializeToString()
        return self._record("ImportChanged", data, job.tenant_id, job.import_id, 0, job.import_id.encode())

    def import_finished(self, job: ImportJob) -> Record:
        data = pb.ImportFinished(**{"import": _told(job)}).SerializeToString()
        return self._record("ImportFinished", data, job.tenant_id, job.import_id, job.epoch + 1, job.import_id.encode())

    def subscriber_changed(self, person: Person, changed: Sequence[str]) -> Record:
        caller = maybe_current()  # none where what a crash left behind is finished: the event was made before it
        behalf = caller.on_behalf_of if caller else None
        data = pb.SubscriberChanged(
            tenant_id=person.tenant_id,
            subscriber_id=person.subscriber_id,
            address_key=person.address_key,
            changed=changed,
            version=person.version,
            actor=actor_message(caller.actor) if caller else None,
            on_behalf_of=actor_message(behalf) if behalf else None,
        ).SerializeToString()
        return self._record("SubscriberChanged", data, person.tenant_id, person.subscriber_id, person.version, person.address_key)

    def subscriber_deleted(self, tenant_id: str, subscriber_id: str, address_key: bytes, version: int) -> Record:
        data = pb.SubscriberDeleted(
            tenant_id=tenant_id, subscriber_id=subscriber_id, address_key=address_key, version=version
        ).SerializeToString()
        return self._record("SubscriberDeleted", data, tenant_id, subscriber_id, version, address_key)

    def _record(self, type: str, data: bytes, tenant_id: str, subject: str, sequence: int, placed_by: bytes) -> Record:
        event = new_event(f"postlaw.subscribers.{type}", data, source=_SOURCE, subject=subject, sequence=sequence, tenant_id=tenant_id)
        return to_record(event, TOPIC, self._placement().partition(tenant_id, placed_by))
