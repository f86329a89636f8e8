"""What is packed in a report's mail, whatever it claims to be: by gzip or in a zip, and never more of it than a report may be."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Final

from postlaw_sending.reports.report import Malformed

LARGEST: Final = 8 << 20  # octets, unpacked; large providers' are some hundred kilobytes
_MOST_MEMBERS: Final = 100
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def unpacked(data: bytes) -> bytes:
    """Of what is not packed, itself. Raises Malformed, for what is larger than LARGEST as well."""
    try:
        plain = _of_gzip(data) if data.startswith(_GZIP) else _of_zip(data) if data.startswith(_ZIP) else data
    except (zlib.error, zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError, NotImplementedError, LookupError) as wrong:
        raise Malformed(f"it cannot be unpacked: {type(wrong).__name__}") from wrong
    if len(plain) > LARGEST:
        raise Malformed("it is too large")
    return plain


def _of_gzip(data: bytes) -> bytes:
    packed = zlib.decompressobj(wbits=31)
    plain = packed.decompress(data, LARGEST + 1)
    if len(plain) <= LARGEST and not packed.eof:
        raise EOFError
    return plain


def _of_zip(data: bytes) -> bytes:
    """Of its first file (RFC 7489 §7.2.1.1 has one). What the archive says of sizes is not believed."""
    if data.count(b"PK\x01\x02") > _MOST_MEMBERS:
        raise ValueError("too many files")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        first = archive.infolist()[0]
        if first.compress_type not in _METHODS:
            raise NotImplementedError
        with archive.open(first) as file:
            return file.read(LARGEST + 1)
