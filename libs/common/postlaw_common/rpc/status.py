"""Errors on the wire: postlaw_common.errors ↔ gRPC status with google.rpc details, both ways.

ErrorInfo (domain `postlaw.dev`) carries the type as its reason, and the HTTP status and incident as metadata; BadRequest the
wrong fields; RetryInfo when to come again. A service's own subclass of an error arrives as the family's class of that status.
"""

from __future__ import annotations

import grpc
import grpc.aio
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

from postlaw_common.errors import (
    Conflict,
    DeadlineExceeded,
    Denied,
    FieldError,
    Invalid,
    KeyReused,
    NotFound,
    PostlawError,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    VersionMismatch,
)

DETAILS_KEY = "grpc-status-details-bin"
_DOMAIN = "postlaw.dev"
_LONGEST_DETAIL = 2000  # gRPC's peers refuse headers beyond 8 KiB, and details travel in one

_CODES: dict[int, grpc.StatusCode] = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    412: grpc.StatusCode.ABORTED,
    413: grpc.StatusCode.OUT_OF_RANGE,
    422: grpc.StatusCode.ALREADY_EXISTS,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_FAMILY: dict[int, type[PostlawError]] = {
    error.status: error
    for error in (
        Invalid, Unauthenticated, Denied, NotFound, Conflict, VersionMismatch, TooLarge, Unprocessable, RateLimited, Unavailable,
        DeadlineExceeded,
    )
}  # fmt: skip
_BY_CODE: dict[grpc.StatusCode, type[PostlawError]] = {code: _FAMILY[status] for status, code in _CODES.items()}


def code_of(error: PostlawError) -> grpc.StatusCode:
    return _CODES.get(error.status, grpc.StatusCode.INTERNAL)


def details_of(error: PostlawError) -> bytes:
    """A serialized google.rpc.Status: the value of `grpc-status-details-bin`."""
    detail = error.detail[:_LONGEST_DETAIL]
    status = status_pb2.Status(code=code_of(error).value[0], message=detail)
    info = error_details_pb2.ErrorInfo(reason=error.type, domain=_DOMAIN, metadata={"status": str(error.status)})
    if isinstance(error, KeyReused):  # two of the family share a status
        info.metadata["reused"] = "key"
    if error.incident:
        info.metadata["incident"] = error.incident
    status.details.add().Pack(info)
    if error.fields:
        wrong = error_details_pb2.BadRequest()
        for field in error.fields[:50]:
            wrong.field_violations.add(field=field.field[:200], description=field.message[:200])
            if wrong.ByteSize() > _LONGEST_DETAIL:
                break
        status.details.add().Pack(wrong)
    if error.retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(error.retry_after_s * 1000))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status.SerializeToString()


def error_of(call_error: grpc.aio.AioRpcError, service: str) -> PostlawError:
    """The error that the service raised; where the failure was on the way, the family's nearest."""
    for key, value in call_error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            error = _from_details(value)
            if error is not None:
                return error
    code, said = call_error.code(), call_error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        return Unavailable(f"The service {service} cannot be reached now. Try again.")
    if code is grpc.StatusCode.CANCELLED:
        # Our own raise CancelledError. A server that closes a connection, by its age or for good, ends so what has just arrived.
        return Unavailable(f"The service {service} ended the call before it answered. What was asked for may have happened, or not.")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"The service {service} did not answer in time. What was asked for may have happened, or not.")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return TooLarge(f"A message to or from {service} is larger than a call may carry: {said}")
    if code in _BY_CODE:
        return _BY_CODE[code](f"{service}: {said}")
    return PostlawError(f"The call to {service} failed with {code.name}: {said}")


def _from_details(value: bytes) -> PostlawError | None:
    try:
        status = status_pb2.Status.FromString(value)
    except ValueError:
        return None
    info = error_details_pb2.ErrorInfo()
    wrong = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    retry_after: float | None = None
    for detail in status.details:
        if detail.Unpack(retry):
            retry_after = retry.retry_delay.ToMilliseconds() / 1000
        elif not detail.Unpack(info):
            detail.Unpack(wrong)
    if info.domain != _DOMAIN:
        return None
    number = info.metadata.get("status", "")
    family = _FAMILY.get(int(number), PostlawError) if number.isdigit() else PostlawError
    if info.metadata.get("reused") == "key":
        family = KeyReused
    return family(
        status.message,
        type=info.reason,
        fields=[FieldError(violation.field, violation.description) for violation in wrong.field_violations],
        retry_after_s=retry_after,
        incident=info.metadata.get("incident", ""),
    )
