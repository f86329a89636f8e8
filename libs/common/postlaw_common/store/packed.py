"""Documents as msgpack: what the embedded store keeps, and the fields of a `packed` collection on any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from postlaw_common.store import LARGEST, Document, StoreRefused

_encode = msgspec.msgpack.Encoder().encode

unpack = msgspec.msgpack.Decoder(dict[str, Any]).decode


def pack(collection: str, id: str, fields: Mapping[str, Any]) -> bytes:
    """Raises StoreRefused, naming the document, for what no store can hold."""
    try:
        body = _encode(fields)
    except (TypeError, OverflowError, ValueError) as error:
        raise StoreRefused(f"{collection}/{id}: {error}") from error
    if len(body) > LARGEST:
        raise StoreRefused(f"{collection}/{id} takes {len(body)} bytes of at most {LARGEST}")
    return body


def packed_document(collection: str, document: Document, apart: frozenset[str]) -> Document:
    """The same with every field that is not `apart` in one, `body`."""
    kept = {name: value for name, value in document.items() if name in apart}
    kept["body"] = pack(collection, document["_id"], {name: value for name, value in document.items() if name not in apart})
    return kept


def unpacked_document(document: Document) -> Document:
    """As it was before `packed_document`."""
    body = document.pop("body", None)
    return document | unpack(body) if body is not None else document
