"""Campaigns in the store. Each change is written together with the event that announces it (postlaw_common.outbox).

`revision` is the campaign's version as others see it; the store's own `v` also counts the outbox being cleared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from postlaw_common.caller import Actor
from postlaw_common.errors import NotFound
from postlaw_common.events import new_event, partition_of, to_record
from postlaw_common.made_once import MADE_UNDER, RequestKey
from postlaw_common.outbox import OUTBOX_INDEX, Outbox, add_to_outbox
from postlaw_common.store import Collection, CollectionSpec, Document, Index
from postlaw_sending.campaigns.domain.ab_test import AbTest, Measure, Variant
from postlaw_sending.campaigns.domain.campaign import Campaign, Sender, Status, Template
from postlaw_sending.campaigns.domain.ruling import COMMERCIAL, MessageFacts
from postlaw_sending.campaigns.domain.schedule import Schedule
from postlaw_sending.campaigns.images import images_to_document, template_from_document
from postlaw_sending.campaigns.wire import CAMPAIGN_CHANGED, CAMPAIGNS, changed
from postlaw_sending.tracking.domain import NO_TRACKING, Tracking

CAMPAIGN_DOCUMENTS = CollectionSpec("campaigns", (Index("tenant_id"), Index("scheduled"), OUTBOX_INDEX, MADE_UNDER))

_SCHEDULED = "yes"


class Campaigns:
    """`collection`: `campaigns` of the database `sending`. `partitions`: the installation's count."""

    def __init__(self, collection: Callable[[], Collection], outbox: Outbox, partitions: Callable[[], int]) -> None:
        self._open = collection
        self._outbox = outbox
        self._partitions = partitions

    async def insert(self, campaign: Campaign, actor: Actor | None, request: RequestKey, asked: bytes) -> Campaign:
        """Version 1, announced; or as it is now what the request's key made before. Raises KeyReused."""
        first = replace(campaign, version=1)
        document = self._announced(_to_document(first) | request.note(asked), first, actor)
        if (made := await request.insert(self._open(), document, asked)) is not None:
            return _from_document(made)
        await self._outbox.publish_after_write(self._open(), document)
        return first

    async def find(self, campaign_id: str) -> Campaign | None:
        """Whoever's it is: for our own work."""
        document = await self._open().get(campaign_id, linearizable=True)
        return _from_document(document) if document else None

    async def get(self, campaign_id: str, tenant_id: str) -> Campaign:
        """This customer's. Raises NotFound, also for another customer's."""
        document = await self._open().get(campaign_id)
        if document is None or document["tenant_id"] != tenant_id:
            raise _not_found(campaign_id)
        return _from_document(document)

    async def page(self, tenant_id: str, *, after: str, limit: int) -> list[Campaign]:
        """Oldest first; ids sort by time of making."""
        return [_from_document(document) for document in await self._open().find("tenant_id", tenant_id, after=after, limit=limit)]

    async def scheduled(self) -> list[Campaign]:
        """Everybody's that begin by themselves one day."""
        return [_from_document(document) async for page in self._open().scan("scheduled", _SCHEDULED) for document in page]

    async def change(
        self, campaign_id: str, tenant_id: str, change: Callable[[Campaign], Campaign], actor: Actor | None
    ) -> tuple[Campaign, bool]:
        """Reads, changes and writes until nobody came in between. (the campaign now, whether this call changed it).

        `change` returns its argument where there is nothing to do, and raises where it may not be done. Raises NotFound."""

        def to(document: Document) -> Document | None:
            if document["tenant_id"] != tenant_id:
                raise _not_found(campaign_id)
            before = _from_document(document)
            after = change(before)
            if after is before:
                return None
            after = replace(after, version=before.version + 1)
            return self._announced(document | _to_document(after), after, actor)

        found = await self._outbox.revise(self._open(), campaign_id, to)
        if found is None:
            raise _not_found(campaign_id)
        before, stored = found
        return _from_document(stored), stored is not before

    def _announced(self, document: Document, campaign: Campaign, actor: Actor | None) -> Document:
        event = new_event(
            CAMPAIGN_CHANGED,
            changed(campaign, actor),
            source="sending",
            subject=campaign.campaign_id,
            sequence=campaign.version,
            tenant_id=campaign.tenant_id,
        )
        return add_to_outbox(document, [to_record(event, CAMPAIGNS, partition_of(campaign.campaign_id, self._partitions()))])


def _not_found(campaign_id: str) -> NotFound:
    return NotFound(f"There is no campaign {campaign_id}.")


def _to_document(campaign: Campaign) -> Document:
    return {
        "_id": campaign.campaign_id,
        "tenant_id": campaign.tenant_id,
        "name": campaign.name,
        "list_id": campaign.list_id,
        "list_name": campaign.list_name,
        "sender": [campaign.sender.name, campaign.sender.address, campaign.sender.postal_address, campaign.sender.reply_to],
        "template": [campaign.template.subject, campaign.template.html, campaign.template.text],
        "images": images_to_document(campaign.template),
        "message_class": campaign.message.message_class,
        "message_states": list(campaign.message.states),
        "status": campaign.status.value,
        "created_at_us": campaign.created_at_us,
        "launched_at_us": campaign.launched_at_us,
        "ended_at_us": campaign.ended_at_us,
        "launched_by": list(campaign.launched_by),
        "contact": campaign.contact,
        "revision": campaign.version,
        "brand": campaign.brand,
        "named_template": [campaign.template_id, campaign.template_version],
        "paused_because": campaign.paused_because,
        "schedule": _schedule_to_document(campaign.schedule),
        "scheduled": _SCHEDULED if campaign.status is Status.SCHEDULED else None,
        "messages_per_hour": campaign.messages_per_hour,
        "ab_test": _ab_test_to_document(campaign.ab_test),
        "mail_unknown_again": campaign.mail_unknown_again,
        "tracking": _tracking_to_document(campaign.tracking),
        "forward_answers_to": campaign.forward_answers_to,
        "leave_out_silent_days": campaign.leave_out_silent_days,
    }


def _ab_test_to_document(test: AbTest | None) -> Document | None:
    if test is None:
        return None
    words = [variant.template for variant in test.variants]
    return {
        "variants": [[each.subject, each.html, each.text] for each in words],
        "shares": [variant.share for variant in test.variants],
        "measure": test.measure.value,
        "decide_after_us": test.decide_after_us,
        "winner": test.winner,
        "decided_at_us": test.decided_at_us,
        "decided_by": list(test.decided_by),
    }


def _ab_test_from_document(document: Document | None) -> AbTest | None:
    if document is None:
        return None
    kind, id = document["decided_by"]
    return AbTest(
        variants=tuple(Variant(Template(*words), share) for words, share in zip(document["variants"], document["shares"], strict=True)),
        measure=Measure(document["measure"]),
        decide_after_us=document["decide_after_us"],
        winner=document["winner"],
        decided_at_us=document["decided_at_us"],
        decided_by=(kind, id),
    )


def _schedule_to_document(schedule: Schedule | None) -> Document | None:
    if schedule is None:
        return None
    return {"at_us": schedule.at_us, "local_time": schedule.local_time, "time_zone": schedule.time_zone, "by": list(schedule.by)}


def _schedule_from_document(document: Document | None) -> Schedule | None:
    if document is None:
        return None
    kind, id = document["by"]
    return Schedule(document["at_us"], document["local_time"], document["time_zone"], (kind, id))


def _from_document(document: Document) -> Campaign:
    kind, id = document["launched_by"]
    template_id, template_version = document.get("named_template", ("", 0))  # as before there were any
    return Campaign(
        campaign_id=document["_id"],
        tenant_id=document["tenant_id"],
        name=document["name"],
        list_id=document["list_id"],
        list_name=document["list_name"],
        sender=Sender(*document["sender"]),
        template=template_from_document(document),
        message=MessageFacts(
            document.get("message_class", COMMERCIAL), tuple(document.get("message_states", ()))
        ),  # as before there were others
        status=Status(document["status"]),
        created_at_us=document["created_at_us"],
        launched_at_us=document["launched_at_us"],
        ended_at_us=document["ended_at_us"],
        launched_by=(kind, id),
        contact=document.get("contact", ""),
        version=document["revision"],
        brand=document.get("brand", ""),  # as before there were any
        template_id=template_id,
        template_version=template_version,
        paused_because=document.get("paused_because", ""),
        schedule=_schedule_from_document(document.get("schedule")),
        messages_per_hour=document.get("messages_per_hour", 0),
        ab_test=_ab_test_from_document(document.get("ab_test")),
        mail_unknown_again=document.get("mail_unknown_again", False),
        tracking=_tracking_from_document(document.get("tracking")),
        forward_answers_to=document.get("forward_answers_to", ""),
        leave_out_silent_days=document.get("leave_out_silent_days", 0),
    )


def _tracking_to_document(tracking: Tracking) -> Document | None:
    return (
        {"opens": tracking.opens, "clicks": tracking.clicks, "counts": tracking.counts, "links": list(tracking.links)}
        if tracking.on
        else None
    )


def _tracking_from_document(document: Document | None) -> Tracking:
    if document is None:
        return NO_TRACKING
    return Tracking(document["opens"], document["clicks"], document["counts"], tuple(document["links"]))
