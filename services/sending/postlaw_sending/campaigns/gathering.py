"""Those who waited, put together into batches: of one attempt, and of the same words."""

from __future__ import annotations

from collections.abc import Sequence

from postlaw_sending.campaigns.clients import PAGE_SIZE
from postlaw_sending.campaigns.domain.plan import Kept, PlannedBatch
from postlaw_sending.campaigns.led import Led
from postlaw_sending.campaigns.retries import Retry


def retries_in_batches(led: Led, due: Sequence[Retry], most: int) -> list[list[Retry]]:
    """Up to `most` batches, in order."""
    batches: list[list[Retry]] = []
    for retry in due:
        last = batches[-1] if batches else None
        if last and last[0].attempt == retry.attempt and _goes_with(led, last, retry):
            last.append(retry)
        elif len(batches) < most:
            batches.append([retry])
        else:
            break
    return batches


def kept_in_batches(led: Led, due: Sequence[Kept], most: int, allowed: int) -> list[list[Kept]]:
    """Up to `most` batches, in order, of `allowed` people at most; but for the first group, which goes whole."""
    batches: list[list[Kept]] = []
    taken = 0
    for group in due:
        taken += len(group.address_keys)
        if batches and taken > allowed:
            break
        if batches and _goes_with(led, batches[-1], group):
            batches[-1].append(group)
        elif len(batches) < most:
            batches.append([group])
        else:
            break
    return batches


def of_retries(batch: Sequence[Retry]) -> PlannedBatch:
    return PlannedBatch(batch[0].attempt, keys_of(batch), retries=tuple(retry.id for retry in batch))


def of_kept(batch: Sequence[Kept]) -> PlannedBatch:
    return PlannedBatch(0, keys_of(batch), kept=tuple(group.id for group in batch))


def keys_of(batch: Sequence[Retry | Kept]) -> list[bytes]:
    return [key for waited in batch for key in waited.address_keys]


def ids_of(batch: Sequence[Retry | Kept]) -> dict[bytes, str]:
    """Subscriber ids by address key."""
    return {key: id for waited in batch for key, id in zip(waited.address_keys, waited.subscriber_ids, strict=True)}


def _goes_with(led: Led, batch: Sequence[Retry | Kept], waited: Retry | Kept) -> bool:
    """Whether a batch has room for these as well, who get the same words."""
    fits = sum(len(one.address_keys) for one in batch) + len(waited.address_keys) <= PAGE_SIZE
    return fits and led.variant(batch[0].address_keys[0]) == led.variant(waited.address_keys[0])
