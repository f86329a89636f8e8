"""MongoDB's errors as the store's: what its server has found taken, will not have, or did not answer."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from bson.errors import BSONError
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from postlaw_common.store import Document, StoreRefused, StoreUnavailable

DUPLICATE = 11000
# BadValue, FailedToParse, TypeMismatch, InvalidBSON, three of field names, DocumentValidationFailure, and too large in three places.
REFUSED = {2, 9, 14, 22, 52, 56, 57, 121, 10334, 17419, 17420}


def duplicates(error: BulkWriteError, documents: Sequence[Document]) -> set[str]:
    """The `_id`s that an insert found taken. Anything else that failed is raised."""
    details: Mapping[str, Any] = error.details or {}
    failed: list[Mapping[str, Any]] = list(details.get("writeErrors", ()))
    if details.get("writeConcernErrors") or any(one["code"] != DUPLICATE for one in failed):
        raise error
    return {documents[one["index"]]["_id"] for one in failed}


def refused(error: PyMongoError) -> bool:
    """Whether the server has looked at what was to be written and will not have it."""
    if isinstance(error, BulkWriteError):
        codes = {one["code"] for one in (error.details or {}).get("writeErrors", ())} - {DUPLICATE}
        return bool(codes) and codes <= REFUSED
    return isinstance(error, OperationFailure) and error.code in REFUSED


@contextmanager
def as_unavailable(what: str) -> Generator[None, None, None]:
    """The driver's errors as the port's: StoreRefused for a document that cannot be stored, StoreUnavailable for the rest."""
    try:
        yield
    except (BSONError, OverflowError, UnicodeEncodeError) as error:  # the driver could not even encode it
        raise StoreRefused(f"{what}: {_said(error)}") from error
    except PyMongoError as error:
        if refused(error):
            raise StoreRefused(f"{what}: {_said(error)}") from error
        raise StoreUnavailable(f"{what}: the store does not answer ({_said(error)})") from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:300]}"
