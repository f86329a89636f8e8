"""What a servicer may raise, as the error that leaves the service. Nothing of the inside leaves it: neither text nor stack."""

from __future__ import annotations

import os

from postlaw_common.blobs import BlobsUnavailable
from postlaw_common.bus import BusUnavailable
from postlaw_common.errors import PostlawError, Unavailable
from postlaw_common.keys import KeysUnavailable
from postlaw_common.store import StoreUnavailable
from postlaw_common.telemetry import get_logger

_log = get_logger(__name__)

_BACKING = (
    (BusUnavailable, "bus"),
    (StoreUnavailable, "store"),
    (BlobsUnavailable, "blobs"),
    (KeysUnavailable, "keys"),
)


def as_postlaw_error(failure: BaseException, where: str) -> PostlawError:
    """The error itself if it is one of ours; else Unavailable for a backing service that is gone, else "internal" with an
    incident id under which the log holds the stack."""
    if isinstance(failure, PostlawError):
        return failure
    for kind, name in _BACKING:
        if isinstance(failure, kind):
            _log.warning("a part that a call needs cannot be reached", method=where, part=name, exc_info=failure)
            return Unavailable(f"The {name} that this needs cannot be reached now. Try again.", retry_after_s=1.0)
    incident = f"inc_{os.urandom(8).hex()}"
    _log.error("a call failed unexpectedly", method=where, incident=incident, exc_info=failure)
    return PostlawError(f"Something failed on our side. Quote the incident {incident} when you report it.", incident=incident)
