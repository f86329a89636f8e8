"""Identity's public signing keys, as every other service fetches them."""

from __future__ import annotations

from collections.abc import Sequence

import grpc.aio

from postlaw.identity.v1 import identity_pb2, identity_pb2_grpc
from postlaw_common.rpc.context_token import KeySource, TrustedKey


def keys_of_identity(channel: grpc.aio.Channel) -> KeySource:
    """A source for ContextVerifier that asks IdentityService.ListSigningKeys."""
    stub = identity_pb2_grpc.IdentityServiceStub(channel)

    async def fetch() -> Sequence[TrustedKey]:
        answer = await stub.ListSigningKeys(identity_pb2.ListSigningKeysRequest(), timeout=3.0)
        return [
            TrustedKey(
                key_id=key.key_id,
                public_key=key.public_key,
                not_before_us=key.not_before.ToMicroseconds(),
                not_after_us=key.not_after.ToMicroseconds() if key.HasField("not_after") else 0,
            )
            for key in answer.signing_keys
        ]

    return fetch
