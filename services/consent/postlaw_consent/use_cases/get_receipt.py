"""A receipt of one event: what the ledger says of it, whose customer it was, the log's proof, and our signature under all that."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from postlaw_common.errors import DeadlineExceeded, NotFound, Unavailable
from postlaw_common.telemetry import get_logger
from postlaw_consent.domain.preferences import NOT_LISTED
from postlaw_consent.domain.receipt import Beside, Controller, Json, receipt_of
from postlaw_consent.ledger import Ledger, Line
from postlaw_consent.list_names import ListNames
from postlaw_consent.notices import Notices
from postlaw_consent.receipt_keys import ReceiptKeys
from postlaw_consent.receipt_signing import SIGNATURE, canonical, sign

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Proof:
    """The log's entry of an event, `data` in it as the event's own bytes, with the way from its leaf to a checkpoint's root. `cosigned`: by
    somebody outside. `key_notes`: by which the log's keys followed each other."""

    entry: bytes
    data: bytes
    index: int
    tree_size: int
    path: tuple[bytes, ...]
    checkpoint: str
    cosigned: bool = False
    key_notes: tuple[str, ...] = ()


class GetReceipt:
    def __init__(
        self,
        ledger: Ledger,
        notices: Notices,
        names: ListNames,
        keys: ReceiptKeys,
        controller_of: Callable[[str], Awaitable[Controller]],
        proof_of: Callable[[str], Awaitable[Proof]],
    ) -> None:
        self._ledger = ledger
        self._notices = notices
        self._names = names
        self._keys = keys
        self._controller_of = controller_of
        self._proof_of = proof_of

    async def __call__(self, tenant_id: str, address_key: bytes, event_id: str) -> bytes:
        """The receipt in its canonical form. An event that the log does not have yet has a receipt without proof.

        Raises NotFound where the person has no such event, Unavailable where nobody can say whose customer this is."""
        line = await self._line(tenant_id, address_key, event_id)
        event = line.event()
        notice = await self._notices.get(tenant_id, event.notice_hash) if event.notice_hash else None
        controller = await self._controller_of(tenant_id)
        named = await self._names.named(tenant_id, [event.scope.id]) if event.scope.kind == "list" else {}
        receipt = receipt_of(event, Beside(controller, notice.language if notice else "", named.get(event.scope.id, NOT_LISTED).name))
        if (proof := await self._proof(line, event_id)) is not None:
            receipt["log"] = proof
        receipt[SIGNATURE] = sign(receipt, self._keys.signer)
        return canonical(receipt)

    async def _line(self, tenant_id: str, address_key: bytes, event_id: str) -> Line:
        async with aclosing(self._ledger.pages(tenant_id, address_key, after_version=0)) as pages:
            async for page in pages:
                for line in page:
                    if line.event().event_id == event_id:
                        return line
        raise NotFound("This person has no such event.")

    async def _proof(self, line: Line, event_id: str) -> Json | None:
        try:
            proof = await self._proof_of(event_id)
        except (NotFound, Unavailable, DeadlineExceeded):
            return None
        if proof.data != line.data:  # too large for one entry, or not what the ledger has: either way this entry proves nothing
            _log.error("the log's entry does not hold the ledger's event", event_id=event_id, alert=True)
            return None
        return {
            "entry": _base64(proof.entry),
            "index": proof.index,
            "tree_size": proof.tree_size,
            "path": [_base64(step) for step in proof.path],
            "checkpoint": proof.checkpoint,
            "witnesses": "cosigned" if proof.cosigned else "unwitnessed",
            **({"keys": list(proof.key_notes)} if proof.key_notes else {}),
        }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
