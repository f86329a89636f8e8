"""Signatures under receipts: JWS (RFC 7515) with Ed25519 (RFC 8037), detached (RFC 7515 appendix F) from the receipt's canonical form.

That form is JCS (RFC 8785). A receipt has text, whole numbers, truth values, lists and objects, so that the standard library's writer gives
it exactly; fractions, whose writing JCS is mostly about, are refused.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE = "signature"  # the member of the receipt that all others are signed by


class NotSigned(ValueError):
    """No key that was given signed this; the message says what is wrong."""


def canonical(value: Any) -> bytes:
    """ValueError for what no receipt holds."""
    _check(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()


def sign(receipt: Mapping[str, Any], key: Ed25519PrivateKey) -> str:
    """The signature over everything in the receipt but itself: header, nothing, signature, with dots between."""
    header = _header(key_id(key.public_key()))
    return f"{header}..{_to_text(key.sign(_signed(header, receipt)))}"


def verify(receipt: Mapping[str, Any], keys: Mapping[str, Ed25519PublicKey]) -> str:
    """The id of the key that signed it. Raises NotSigned."""
    signature = receipt.get(SIGNATURE)
    if not isinstance(signature, str):
        raise NotSigned("there is no signature")
    header, _, rest = signature.partition("..")
    signer = next((id for id in keys if _header(id) == header), None)  # nothing in a header is believed: it is one that we would write
    if signer is None:
        raise NotSigned("signature: none of the keys given is the one that it names")
    try:
        keys[signer].verify(_from_text(rest), _signed(header, receipt))
    except InvalidSignature:
        raise NotSigned("signature: it does not fit what stands in the receipt") from None
    except ValueError as wrong:
        raise NotSigned(f"signature: {wrong}") from wrong
    return signer


def jwk_of(key: Ed25519PublicKey) -> dict[str, str]:
    """The public key as RFC 8037 has it."""
    return {**_required(key), "kid": key_id(key), "alg": "EdDSA", "use": "sig"}


def keys_of(jwk_set: str) -> dict[str, Ed25519PublicKey]:
    """The Ed25519 keys of a JWK Set, or of one JWK, by id. ValueError where there is none."""
    try:
        told = json.loads(jwk_set)
        found = [key for key in cast("list[Any]", told.get("keys", [told])) if (key["kty"], key["crv"]) == ("OKP", "Ed25519")]
        keys = [Ed25519PublicKey.from_public_bytes(_from_text(key["x"])) for key in found]
    except (AttributeError, KeyError, TypeError, ValueError) as wrong:
        raise ValueError("that is no JWK Set (RFC 7517)") from wrong
    if not keys:
        raise ValueError("there is no Ed25519 key in the JWK Set")
    return {key_id(key): key for key in keys}


def key_id(key: Ed25519PublicKey) -> str:
    """The JWK's thumbprint (RFC 7638), so that an id means one key, whoever names it."""
    return _to_text(hashlib.sha256(canonical(_required(key))).digest())


def _required(key: Ed25519PublicKey) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": _to_text(key.public_bytes_raw())}


def _header(id: str) -> str:
    return _to_text(canonical({"alg": "EdDSA", "kid": id}))


def _signed(header: str, receipt: Mapping[str, Any]) -> bytes:
    content = canonical({name: value for name, value in receipt.items() if name != SIGNATURE})
    return f"{header}.{_to_text(content)}".encode()


def _check(value: Any) -> None:
    if isinstance(value, dict):
        for name, item in cast("dict[Any, Any]", value).items():
            if not isinstance(name, str):
                raise ValueError("the names of an object are text")
            _check(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            _check(item)
    elif not isinstance(value, str | bool | int) or (type(value) is int and abs(value) >= 2**53):
        raise ValueError(f"a {type(value).__name__} like this is not signed")


def _to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _from_text(text: str) -> bytes:
    """ValueError where it is not exactly how we would have written it: base64 has several spellings of one value."""
    data = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
    if _to_text(data) != text:
        raise ValueError("not base64url as RFC 7515 has it")
    return data
