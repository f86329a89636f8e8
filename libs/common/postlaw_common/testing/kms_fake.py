"""A small AWS KMS on loopback: the five calls that the adapter makes, in KMS's own JSON, with its refusals."""

from __future__ import annotations

import base64
import json
import os
import uuid
from collections.abc import Callable
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Refused(Exception):
    """The code that KMS answers with."""


class KmsFake:
    def __init__(self) -> None:
        self.key_id = str(uuid.uuid4())
        self._material = [AESGCM(os.urandom(32))]
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Its endpoint's URL."""
        application = web.Application()
        application.router.add_post("/", self._answer)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        calls: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "DescribeKey": self._describe,
            "Encrypt": self._encrypt,
            "Decrypt": self._decrypt,
            "RotateKeyOnDemand": self._rotate,
            "ListKeyRotations": self._rotations,
        }
        asked = json.loads(await request.read())
        try:
            if asked["KeyId"] != self.key_id:
                raise Refused("NotFoundException")
            answer, status = calls[request.headers["X-Amz-Target"].partition(".")[2]](asked), 200
        except Refused as refused:
            answer, status = {"__type": str(refused), "message": "refused"}, 400
        return web.Response(text=json.dumps(answer), status=status, content_type="application/x-amz-json-1.1")

    def _describe(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"KeyMetadata": {"KeyId": self.key_id, "KeyState": "Enabled"}}

    def _encrypt(self, asked: dict[str, Any]) -> dict[str, Any]:
        version, nonce = len(self._material) - 1, os.urandom(12)
        context = json.dumps(asked["EncryptionContext"], sort_keys=True).encode()
        sealed = bytes([version]) + nonce + self._material[version].encrypt(nonce, base64.b64decode(asked["Plaintext"]), context)
        return {"KeyId": self.key_id, "CiphertextBlob": base64.b64encode(sealed).decode()}

    def _decrypt(self, asked: dict[str, Any]) -> dict[str, Any]:
        sealed = base64.b64decode(asked["CiphertextBlob"])
        context = json.dumps(asked["EncryptionContext"], sort_keys=True).encode()
        try:
            plaintext = self._material[sealed[0]].decrypt(sealed[1:13], sealed[13:], context)
        except (InvalidTag, IndexError, ValueError):
            raise Refused("InvalidCiphertextException") from None
        return {"KeyId": self.key_id, "Plaintext": base64.b64encode(plaintext).decode()}

    def _rotate(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._material.append(AESGCM(os.urandom(32)))
        return {"KeyId": self.key_id}

    def _rotations(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"Rotations": [{"KeyId": self.key_id} for _ in self._material[1:]], "Truncated": False}
