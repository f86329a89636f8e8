"""Images within a message: the HTML and what it shows are one multipart/related (RFC 2387), an alternative to the text."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Final

from postlaw_common.errors import FieldError
from postlaw_sending.campaigns.domain.images import SHOWN, Image, what_is_wrong

_DIGEST: Final = 16  # digits: the name is beside it


def wrong_images(images: Sequence[Image]) -> list[FieldError]:
    return [FieldError("template.images", wrong) for wrong in what_is_wrong(images)]


def with_content_ids(html: str, shown: Mapping[str, Image], domain: str) -> str:
    """The page with whole Content-IDs in place of the names: one that is nowhere else in the world (RFC 2392 §2, RFC 2045 §7)."""
    return SHOWN.sub(lambda match: match[1] + _content_id(shown[match[2]], domain) if match[2] in shown else match[0], html)


def related(images: Sequence[Image], domain: bytes, boundary: bytes) -> tuple[bytes, bytes]:
    """What goes before the HTML part's own headers, and what behind its body. Both empty where there are no images."""
    if not images:
        return b"", b""
    before = b'Content-Type: multipart/related; type="text/html"; boundary="%b"\r\n\r\n--%b\r\n' % (boundary, boundary)
    return before, b"".join([*(_part(image, domain.decode(), boundary) for image in images), b"\r\n--%b--\r\n" % boundary])


def _part(image: Image, domain: str, boundary: bytes) -> bytes:
    name = image.name.encode()
    return (
        b"\r\n--%b\r\nContent-Type: %b\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <%b>\r\n"
        b'Content-Disposition: inline; filename="%b"\r\n\r\n%b'
        % (
            boundary,
            image.content_type.encode(),
            _content_id(image, domain).encode(),
            name,
            base64.encodebytes(image.content).replace(b"\n", b"\r\n"),
        )
    )


def _content_id(image: Image, domain: str) -> str:
    return f"{image.name}.{image.digest[:_DIGEST]}@{domain}"
