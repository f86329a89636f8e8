"""The keys that receipts are signed with: platform keys, of which the current one signs and all are published."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postlaw_common.blobs import Blobs, BlobsUnavailable
from postlaw_common.keys.platform import RECEIPTS
from postlaw_common.telemetry import get_logger
from postlaw_consent.receipt_signing import jwk_of
from postlaw_consent.tokens import Keys

KEYS_BLOB = "receipts/keys.json"  # in the bucket that has the log's own key (audit/log.vkey)

_AGAIN_S = 5.0
_log = get_logger(__name__)


class ReceiptKeys:
    """`start` once before use. `version` goes up by one for a fresh key, never down."""

    def __init__(self, keys: Keys, blobs: Blobs, *, version: int) -> None:
        self._keys = keys
        self._blobs = blobs
        self._version = version
        self._signers: list[Ed25519PrivateKey] = []

    async def start(self) -> None:
        for version in range(1, self._version + 1):
            self._signers.append(Ed25519PrivateKey.from_private_bytes(await self._keys.get(RECEIPTS, version)))

    @property
    def signer(self) -> Ed25519PrivateKey:
        return self._signers[-1]

    def published(self) -> list[Mapping[str, str]]:
        """The public halves as JWKs, the newest first."""
        return [jwk_of(signer.public_key()) for signer in reversed(self._signers)]

    async def publish(self) -> None:
        """Puts them beside the log's own key, for whoever checks receipts without a service. An opt-out never waits for that."""
        data = json.dumps({"keys": self.published()}, indent=1).encode()
        while True:
            try:
                await self._blobs.put(KEYS_BLOB, data)
            except BlobsUnavailable as away:
                _log.warning("the receipts' keys are not published beside the log's yet", failure=type(away).__name__)
                await asyncio.sleep(_AGAIN_S)
            else:
                return
