"""Whether a report is the provider's, by what each of them signs with. Nothing of a report is read before."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import load_pem_x509_certificate

MAILGUN_WINDOW_S: Final = 300
SENDGRID_WINDOW_S: Final = 86_400  # it comes again for a day, as it was signed first
_SNS_HOST: Final = re.compile(r"sns\.[a-z0-9-]{5,25}\.amazonaws\.com(\.cn)?")
_SNS_FIELDS: Final = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_CERTIFICATE_LIMIT: Final = 16_384
_FETCH_S: Final = 5.0


def mailgun(key: str, body: Mapping[str, Any], now_s: float) -> bool:
    """HMAC-SHA-256 over time and token, fresh."""
    signed = body.get("signature")
    if not isinstance(signed, Mapping):
        return False
    timestamp, token, signature = (str(signed.get(name, "")) for name in ("timestamp", "token", "signature"))
    if not (timestamp + token + signature).isascii():
        return False
    expected = hmac.new(key.encode(), (timestamp + token).encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode()) and _fresh(timestamp, now_s, MAILGUN_WINDOW_S)


def sendgrid(key: str, timestamp: str, signature: str, body: bytes, now_s: float) -> bool:
    """ECDSA over time and body. `key`: as SendGrid shows it, base64 of a public key."""
    try:
        public = serialization.load_der_public_key(base64.b64decode(key))
        if not isinstance(public, ec.EllipticCurvePublicKey):
            return False
        public.verify(base64.b64decode(signature), timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    except (ValueError, InvalidSignature):
        return False
    return _fresh(timestamp, now_s, SENDGRID_WINDOW_S)


def postmark(user_and_password: str, authorization: str) -> bool:
    """HTTP Basic, which is all that Postmark offers (RFC 7617)."""
    expected = "Basic " + base64.b64encode(user_and_password.encode()).decode()
    return hmac.compare_digest(expected.encode(), authorization.encode())


def sns(topics: Sequence[str], body: Mapping[str, Any], certificate: Callable[[str], bytes]) -> bool:
    """A message of one of our topics, signed by Amazon SNS with SHA-256: topics need SignatureVersion 2, since version 1 is SHA-1.
    `certificate`: the PEM at an address, which is one of SNS's own."""
    url = str(body.get("SigningCertURL", ""))
    if body.get("TopicArn") not in topics or not of_sns(url) or body.get("SignatureVersion") != "2":
        return False
    kept = _SNS_FIELDS if body.get("Type") != "Notification" else ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    said = "".join(f"{name}\n{body[name]}\n" for name in kept if body.get(name) is not None)
    try:
        public = load_pem_x509_certificate(certificate(url)).public_key()
        if not isinstance(public, rsa.RSAPublicKey):
            return False
        public.verify(base64.b64decode(str(body.get("Signature", ""))), said.encode(), padding.PKCS1v15(), hashes.SHA256())
    except (ValueError, InvalidSignature):
        return False
    return True


def of_sns(url: str) -> bool:
    """Whether an address is a certificate's at Amazon SNS: anybody could sign with a certificate from elsewhere."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and parts.path.endswith(".pem") and _SNS_HOST.fullmatch(parts.netloc) is not None


def fetched(url: str) -> bytes:
    """A certificate from Amazon SNS; no redirect is followed. Raises OSError, ValueError."""
    if not of_sns(url):
        raise ValueError("not an address of Amazon SNS")
    parts = urlsplit(url)
    connection = http.client.HTTPSConnection(parts.netloc, timeout=_FETCH_S)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        if answer.status != 200:
            raise ValueError(f"answered with {answer.status}")
        return answer.read(_CERTIFICATE_LIMIT)
    except http.client.HTTPException as broken:
        raise ValueError("no HTTP") from broken
    finally:
        connection.close()


def parsed(body: bytes) -> Any:
    """JSON; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _fresh(timestamp: str, now_s: float, window_s: int) -> bool:
    return timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 12 and abs(now_s - int(timestamp)) <= window_s
