"""The root key in AWS KMS, by aioboto3: `awskms:KEY[?region=…&endpoint=…]`, KEY an id, ARN or alias.

KMS seals in its HSMs, binds the purpose as encryption context, and names the key's version inside its own ciphertext. `rotate`
asks KMS to rotate the key's material on demand; older wraps stay readable there.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from typing import Any
from urllib.parse import parse_qsl

import aioboto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from postlaw_common.keys import KeysUnavailable, UnwrapRefused

REFUSED = {"InvalidCiphertextException", "IncorrectKeyException", "KMSInvalidStateException", "DisabledException", "NotFoundException"}


class KmsRootKey:
    def __init__(self, url: str) -> None:
        self._key, _, query = url.removeprefix("awskms:").partition("?")
        options = dict(parse_qsl(query))
        if unknown := options.keys() - {"endpoint", "region"}:
            raise ValueError(f"POSTLAW_KEYS does not know {', '.join(sorted(unknown))}; it knows endpoint, region")
        if not self._key:
            raise ValueError("POSTLAW_KEYS names no key: awskms:KEY-ID[?region=…]")
        self._endpoint = options.get("endpoint")
        self._region = options.get("region")
        self._stack = AsyncExitStack()
        self._client: Any = None  # aioboto3 makes its clients at run time, without types

    async def start(self) -> None:
        """Raises KeysUnavailable when the key does not answer, or may not be used."""
        config = Config(connect_timeout=3, read_timeout=5, retries={"max_attempts": 3, "mode": "standard"})
        client: Any = aioboto3.Session().client("kms", endpoint_url=self._endpoint, region_name=self._region, config=config)
        self._client = await self._stack.enter_async_context(client)
        try:
            with _errors(self._key):
                state = (await self._client.describe_key(KeyId=self._key))["KeyMetadata"]["KeyState"]
        except (KeysUnavailable, UnwrapRefused) as error:
            await self.close()
            raise KeysUnavailable(f"the root key {self._key} cannot be used: {error}") from error
        if state != "Enabled":
            await self.close()
            raise KeysUnavailable(f"the root key {self._key} cannot be used: its state is {state}")

    async def wrap(self, key: bytes, *, purpose: str) -> bytes:
        with _errors(self._key):
            answer = await self._client.encrypt(KeyId=self._key, Plaintext=key, EncryptionContext={"purpose": purpose})
        return answer["CiphertextBlob"]

    async def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        if not wrapped:
            raise UnwrapRefused(f"the wrapped key for {purpose} is empty")
        with _errors(purpose):
            answer = await self._client.decrypt(KeyId=self._key, CiphertextBlob=wrapped, EncryptionContext={"purpose": purpose})
        return answer["Plaintext"]

    async def rotate(self) -> int:
        """The number of rotations so far, plus one. KMS finishes a rotation on demand within minutes."""
        with _errors(self._key):
            await self._client.rotate_key_on_demand(KeyId=self._key)
            rotations = 0
            marker: dict[str, str] = {}
            while True:
                page = await self._client.list_key_rotations(KeyId=self._key, **marker)
                rotations += len(page["Rotations"])
                if not page.get("Truncated"):
                    return rotations + 1
                marker = {"Marker": page["NextMarker"]}

    async def close(self) -> None:
        await self._stack.aclose()
        self._client = None


@contextmanager
def _errors(what: str) -> Generator[None, None, None]:
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in REFUSED:
            raise UnwrapRefused(f"{what}: KMS refused ({code})") from error
        raise KeysUnavailable(f"{what}: KMS refused ({code})") from error
    except (BotoCoreError, TimeoutError, OSError) as error:
        raise KeysUnavailable(f"{what}: KMS does not answer ({type(error).__name__})") from error
