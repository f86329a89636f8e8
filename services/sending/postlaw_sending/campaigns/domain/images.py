"""Images that go with a message, and where its HTML shows them (RFC 2392)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LARGEST: Final = 200_000  # octets of one
LARGEST_TOGETHER: Final = 500_000  # each message carries them all, a third longer in base64
_NAME: Final = re.compile(r"(?=.{1,64}\Z)[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*")  # as before the @ of an address (RFC 5322 §3.4.1)
# As a file of that kind begins: PNG (ISO 15948 §5.2), JPEG (ISO 10918-1 B.1.1.3, SOI and a marker), GIF 87a and 89a.
_BEGINNINGS: Final[Mapping[str, tuple[bytes, ...]]] = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
}
# In an attribute or a style; what stands in running text shows nothing.
SHOWN: Final = re.compile(r"([\"'(=;]\s*cid:)([^\"'\s)>&;]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Image:
    """`name`: what `cid:` names it by. `content_type`: image/png, image/jpeg or image/gif."""

    name: str
    content_type: str
    content: bytes

    @property
    def digest(self) -> str:
        """Of all that it is: SHA-256, in hexadecimal."""
        return hashlib.sha256(b"\0".join((self.name.encode(), self.content_type.encode(), self.content))).hexdigest()


def names_shown(html: str) -> list[str]:
    """What `html` shows by `cid:`, each once, in the order in which it first stands there."""
    return list(dict.fromkeys(match[2] for match in SHOWN.finditer(html)))


def what_is_wrong(images: Sequence[Image]) -> Iterator[str]:
    """With the form of each, and with all of them together."""
    names = [image.name for image in images]
    for number, image in enumerate(images, 1):
        if not _NAME.fullmatch(image.name):
            yield f"the name of number {number} is none: letters and digits, and . _ - between them"
        elif image.name in names[: number - 1]:
            yield f"two are called {image.name}"
        elif image.content_type not in _BEGINNINGS:
            yield f"{image.name} is of no kind that every reader shows: {', '.join(_BEGINNINGS)}"
        elif not image.content.startswith(_BEGINNINGS[image.content_type]):
            yield f"{image.name} is no {image.content_type}: it begins otherwise"
        elif len(image.content) > LARGEST:
            yield f"{image.name} has {len(image.content):,} bytes; give {LARGEST:,} at most"
    if (together := sum(len(image.content) for image in images)) > LARGEST_TOGETHER:
        yield f"they have {together:,} bytes together; give {LARGEST_TOGETHER:,} at most"
