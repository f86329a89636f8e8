"""Opening an attempt's batch for the worker, and telling attempts from campaigns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from postlaw.sending.v1 import sending_pb2 as sending
from postlaw_common.crypto import SealBroken, open_sealed
from postlaw_common.errors import Invalid, Unavailable
from postlaw_common.keys import KeysUnavailable
from postlaw_common.store import StoreUnavailable
from postlaw_sending.campaigns.opening import OpenBatch
from postlaw_sending.campaigns.sealing import place
from postlaw_sending.messages.answer import Answer, CompiledAnswer
from postlaw_sending.messages.campaign import CompiledCampaign
from postlaw_sending.messages.return_path import ReturnPaths
from postlaw_sending.messages.single import CompiledSingle
from postlaw_sending.singles.domain import Words, is_attempt, status_of
from postlaw_sending.singles.singles import Singles
from postlaw_sending.singles.wire import opened


@dataclass(frozen=True, slots=True)
class OpenSingle:
    """As campaigns.opening.OpenBatch, of one person."""

    recipients: Sequence[sending.JobRecipient]
    compiled: CompiledSingle | CompiledCampaign | CompiledAnswer


Compile = Callable[[str, Words], Awaitable[CompiledCampaign]]
Open = Callable[[sending.SealedBatch, int], Awaitable[OpenBatch | OpenSingle]]


def opener(
    singles: Singles,
    of_campaigns: Callable[[sending.SealedBatch, int], Awaitable[OpenBatch]],
    public_url: str,
    return_paths: ReturnPaths,
    compile: Compile,
) -> Open:
    """Opens whatever stands on the topics of jobs and of single messages; `compile` makes the words of a customer's own message.
    Raises as campaigns.opening.BatchOpener does."""

    async def open_batch(sealed: sending.SealedBatch, partition: int) -> OpenBatch | OpenSingle:
        if not is_attempt(sealed.campaign_id):
            return await of_campaigns(sealed, partition)
        try:
            key = await singles.opened(sealed.tenant_id, sealed.campaign_id)
            where = place(sealed.campaign_id, partition, sealed.batch, sealed.attempt)
            recipient, single = opened(open_sealed(key, sealed.sealed, where))
        except SealBroken as broken:
            raise Invalid(f"attempt {sealed.campaign_id} does not open here: it was changed or moved") from broken
        except (StoreUnavailable, KeysUnavailable) as away:
            raise Unavailable("The message's key cannot be read now. Try again.") from away
        if isinstance(single, Words):
            return OpenSingle([recipient], await compile(sealed.tenant_id, single))
        if isinstance(single, Answer):
            return OpenSingle([recipient], CompiledAnswer(single, return_paths))
        return OpenSingle([recipient], CompiledSingle(single, public_url, return_paths))

    return open_batch


def status(of_campaigns: Callable[[str], str], now_us: Callable[[], int]) -> Callable[[str], str]:
    """A campaign's or an attempt's status, from memory."""
    return lambda id: status_of(id, now_us()) if is_attempt(id) else of_campaigns(id)
