"""An uploaded CSV: any taken encoding becomes UTF-8 with LF line ends as it arrives, and lies sealed, in frames of one size.

A frame can so be found and opened by itself, and an import that resumes begins where it left off. What is wrong with the encoding is
known before a single row was taken.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import AsyncIterable, AsyncIterator

from postlaw_common.blobs import Blobs
from postlaw_common.crypto import OVERHEAD_BYTES, Sealer

FRAME = 1 << 16
_SEALED_FRAME = FRAME + OVERHEAD_BYTES

_ENCODINGS = {
    "": "utf-8",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-8-sig": "utf-8",
    "utf-16": "utf-16",
    "utf16": "utf-16",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "iso-8859-1": "latin-1",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class WrongEncoding(ValueError):
    """The file is not in the encoding that it should be in; the message names the byte and says what to do."""


class Truncated(Exception):
    """The stored upload is shorter than it was when it was taken."""


def known_encoding(name: str) -> bool:
    return name.strip().lower() in _ENCODINGS


class Canonical:
    """Bytes in, UTF-8 with LF line ends out. `received` counts what came in."""

    def __init__(self, encoding: str) -> None:
        self.received = 0
        self._declared = _ENCODINGS[encoding.strip().lower()]
        self._begun = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._lines = io.IncrementalNewlineDecoder(None, translate=True)

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Raises WrongEncoding."""
        if self._decoder is None:
            self._begun += data
            if len(self._begun) < 4096 and not last:
                return b""
            data = self._begin(self._begun)
        before = self.received - (len(self._decoder.getstate()[0]) if self._decoder else 0)
        self.received += len(data)
        try:
            text = self._decoder.decode(data, last) if self._decoder else ""
        except UnicodeDecodeError as error:
            raise WrongEncoding(
                f"Byte {before + error.start + 1} of the file is not {self._name()}. Save the file as UTF-8, or say in 'encoding' what it "
                "is (utf-16, iso-8859-1, windows-1252)."
            ) from None
        return self._lines.decode(text, last).encode()

    def _begin(self, start: bytes) -> bytes:
        for mark, encoding in _MARKS:
            if start.startswith(mark):
                self._decoder = codecs.getincrementaldecoder(encoding)()
                self.received = len(mark)
                return start[len(mark) :]
        if self._declared == "utf-16":
            raise WrongEncoding("Byte 1 of the file should begin a byte-order mark, as UTF-16 needs one. Save the file as UTF-8.")
        if self._declared == "utf-8" and start[:4096].count(0) * 5 > min(len(start), 4096):
            first = start.index(0) + 1
            raise WrongEncoding(f"Byte {first} of the file is a NUL, like many others: UTF-16 without a byte-order mark? Save it as UTF-8.")
        self._decoder = codecs.getincrementaldecoder(self._declared)()
        return start

    def _name(self) -> str:
        return {"utf-8": "UTF-8", "cp1252": "Windows-1252"}.get(self._declared, self._declared.upper())


class Uploads:
    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def keep(self, tenant_id: str, import_id: str, sealer: Sealer, encoding: str, chunks: AsyncIterable[bytes]) -> tuple[int, int]:
        """Stores the upload; returns (bytes received, bytes of stored text). Raises WrongEncoding, and then nothing is kept."""
        canonical = Canonical(encoding)
        stored = 0

        async def frames() -> AsyncIterator[bytes]:
            nonlocal stored
            number = 0
            held = bytearray()
            async for chunk in chunks:
                # A gRPC message may be large; decoding it in pieces keeps the copies small.
                for start in range(0, len(chunk), FRAME):
                    held += canonical.feed(chunk[start : start + FRAME])
                    while len(held) >= FRAME:
                        stored += FRAME
                        yield sealer.seal(bytes(held[:FRAME]), _place(tenant_id, import_id, number))
                        del held[:FRAME]
                        number += 1
            held += canonical.feed(b"", last=True)
            while held:
                part = bytes(held[:FRAME])
                stored += len(part)
                yield sealer.seal(part, _place(tenant_id, import_id, number))
                del held[:FRAME]
                number += 1

        await self._blobs.put_stream(_key(tenant_id, import_id), frames())
        return canonical.received, stored

    async def read(self, tenant_id: str, import_id: str, sealer: Sealer, *, stored: int, start: int = 0) -> AsyncIterator[bytes]:
        """The text from byte `start` on, a frame at a time. Raises Truncated, SealBroken."""
        if start >= stored:
            return
        number, skip = divmod(start, FRAME)
        held = bytearray()
        seen = number * FRAME
        try:
            async for chunk in self._blobs.stream(_key(tenant_id, import_id), start=number * _SEALED_FRAME):
                held += chunk
                while len(held) >= _SEALED_FRAME or (held and seen + len(held) - OVERHEAD_BYTES == stored):
                    frame = sealer.open(bytes(held[:_SEALED_FRAME]), _place(tenant_id, import_id, number))
                    del held[:_SEALED_FRAME]
                    seen += len(frame)
                    number += 1
                    yield frame[skip:]
                    skip = 0
        except KeyError:
            raise Truncated("the uploaded file is gone") from None
        if seen != stored:
            raise Truncated(f"the uploaded file ends at byte {seen}, it had {stored}")

    async def there(self, tenant_id: str, import_id: str) -> bool:
        return await self._blobs.size(_key(tenant_id, import_id)) is not None

    async def remove(self, tenant_id: str, import_id: str) -> None:
        await self._blobs.delete(_key(tenant_id, import_id))

    async def put_errors(self, tenant_id: str, import_id: str, sealer: Sealer, first_row: int, data: bytes) -> None:
        """A part of the report; a re-run of the same rows writes the same part again."""
        key = f"{_errors(tenant_id, import_id)}{first_row:012d}"
        await self._blobs.put(key, sealer.seal(data, _place(tenant_id, import_id, first_row, b"errors")))

    async def errors(self, tenant_id: str, import_id: str, sealer: Sealer, *, before_row: int) -> AsyncIterator[bytes]:
        """The report's parts in order, as far as the import is done with."""
        async for key in self._blobs.keys(_errors(tenant_id, import_id)):
            first_row = int(key.rpartition("/")[2])
            sealed = await self._blobs.get(key) if first_row < before_row else None
            if sealed is not None:
                yield sealer.open(sealed, _place(tenant_id, import_id, first_row, b"errors"))


def _key(tenant_id: str, import_id: str) -> str:
    return f"imports/{tenant_id}/{import_id}/upload"


def _errors(tenant_id: str, import_id: str) -> str:
    return f"imports/{tenant_id}/{import_id}/errors/"


def _place(tenant_id: str, import_id: str, number: int, kind: bytes = b"upload") -> bytes:
    return b"postlaw/import/1\0" + tenant_id.encode() + b"\0" + import_id.encode() + b"\0" + kind + number.to_bytes(8, "big")
