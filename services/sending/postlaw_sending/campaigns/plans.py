"""Plans in the store: one document per (campaign, partition), replaced at its version, so that only one planner at a time gets on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from postlaw_common.store import AlreadyExists, Collection, CollectionSpec, Document, Index
from postlaw_sending.campaigns.domain.plan import Intent, Kept, Plan, PlannedBatch

PLANS = CollectionSpec("plans", (Index("campaign_id"),))


def place_id(campaign_id: str, partition: int) -> str:
    """The `_id` of everything that exists once per (campaign, partition)."""
    return f"{campaign_id}/{partition:04d}"


class Plans:
    """`collection`: `plans` of the database `sending`."""

    def __init__(self, collection: Callable[[], Collection]) -> None:
        self._open = collection

    async def get(self, campaign_id: str, partition: int) -> Plan | None:
        document = await self._open().get(place_id(campaign_id, partition), linearizable=True)
        return _from_document(document) if document else None

    async def get_or_begin(self, campaign_id: str, partition: int) -> Plan:
        """The plan; made on first use, by whoever comes first."""
        plan = await self.get(campaign_id, partition)
        if plan is None:
            with contextlib.suppress(AlreadyExists):
                await self._open().insert(_to_document(Plan(campaign_id, partition)))
            plan = await self.get(campaign_id, partition)
        if plan is None:
            raise LookupError(f"the plan {place_id(campaign_id, partition)} was removed while it was begun")
        return plan

    async def replace(self, plan: Plan) -> Plan:
        """Raises VersionConflict when another planner has written."""
        return _from_document(await self._open().replace(_to_document(plan), version=plan.version))

    async def of(self, campaign_id: str) -> list[Plan]:
        """All of a campaign's, at most one per partition."""
        return [_from_document(document) async for page in self._open().scan("campaign_id", campaign_id) for document in page]


def _to_document(plan: Plan) -> Document:
    return {
        "_id": place_id(plan.campaign_id, plan.partition),
        "campaign_id": plan.campaign_id,
        "partition": plan.partition,
        "next_batch": plan.next_batch,
        "after": plan.after,
        "audience": plan.audience,
        "complete": plan.complete,
        "intent": None
        if plan.intent is None
        else {
            "first": plan.intent.first,
            "jobs_end": plan.intent.jobs_end,
            "batches": [
                {"attempt": batch.attempt, **_joined(batch.address_keys), "retries": list(batch.retries), "kept": list(batch.kept)}
                for batch in plan.intent.batches
            ],
            "kept": [
                {"id": group.id, "due_us": group.due_us, "undecided": group.undecided}
                | {**_joined(group.address_keys), "subscriber_ids": list(group.subscriber_ids)}
                for group in plan.intent.kept
            ],
        },
    }


def _from_document(document: Document) -> Plan:
    intent = document["intent"]
    return Plan(
        campaign_id=document["campaign_id"],
        partition=document["partition"],
        next_batch=document["next_batch"],
        after=bytes(document["after"]),
        audience=document["audience"],
        complete=document["complete"],
        intent=None
        if intent is None
        else Intent(
            first=intent["first"],
            jobs_end=intent["jobs_end"],
            batches=tuple(
                PlannedBatch(
                    batch["attempt"], _parted(batch["width"], batch["joined"]), tuple(batch["retries"]), tuple(batch.get("kept", ()))
                )
                for batch in intent["batches"]
            ),
            kept=tuple(
                Kept(
                    group["id"],
                    group["due_us"],
                    tuple(_parted(group["width"], group["joined"])),
                    tuple(group["subscriber_ids"]),
                    group["undecided"],
                )
                for group in intent.get("kept", ())  # as before anybody was kept back
            ),
        ),
        version=document["v"],
    )


def _joined(keys: Sequence[bytes]) -> Document:
    # Address keys are all of one length; as one value, a group of 2,000 costs the store one value and not 2,000.
    width = len(keys[0])
    joined = b"".join(keys)
    if len(joined) != width * len(keys):
        raise ValueError("address keys of different lengths in one batch")
    return {"width": width, "joined": joined}


def _parted(width: int, joined: bytes) -> list[bytes]:
    joined = bytes(joined)
    return [joined[start : start + width] for start in range(0, len(joined), width)]
