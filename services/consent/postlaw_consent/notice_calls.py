"""gRPC to use case, for notices: a part of the servicer."""

from __future__ import annotations

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_common.caller import current
from postlaw_common.errors import FieldError, Invalid
from postlaw_consent.domain.notice import HASH_BYTES, Notice, digest_of
from postlaw_consent.use_cases.notices import GetNotice, ListNotices, PutNotice
from postlaw_consent.wire import microseconds, timestamp


class NoticeCalls:
    def __init__(self, put: PutNotice, get: GetNotice, list: ListNotices) -> None:
        self._put = put
        self._get = get
        self._list = list

    async def PutNotice(self, request: pb.PutNoticeRequest, context: Any) -> pb.Notice:
        notice = Notice(
            digest=digest_of(request.wording),
            wording=request.wording,
            language=request.language,
            from_us=microseconds(request.effective_from),
            until_us=microseconds(request.effective_to) if request.HasField("effective_to") else None,
        )
        return _to_wire(await self._put(current().tenant_id, notice))

    async def GetNotice(self, request: pb.GetNoticeRequest, context: Any) -> pb.Notice:
        check_hash(request.notice_hash)
        return _to_wire(await self._get(current().tenant_id, request.notice_hash))

    async def ListNotices(self, request: pb.ListNoticesRequest, context: Any) -> pb.ListNoticesResponse:
        notices, following = await self._list(current().tenant_id, size=request.page_size, after=request.page_token)
        return pb.ListNoticesResponse(notices=map(_to_wire, notices), next_page_token=following)


def check_hash(notice_hash: bytes) -> None:
    """Raises Invalid for what no notice can be named by."""
    if len(notice_hash) != HASH_BYTES:
        raise Invalid("That is no SHA-256 hash.", fields=[FieldError("notice_hash", f"must have {HASH_BYTES} bytes")])


def _to_wire(notice: Notice) -> pb.Notice:
    return pb.Notice(
        notice_hash=notice.digest,
        wording=notice.wording,
        language=notice.language,
        effective_from=_stamp(notice.from_us),
        effective_to=_stamp(notice.until_us),
        first_used_at=_stamp(notice.first_used_us),
        registered_at=_stamp(notice.registered_us or None),
        version=notice.version,
    )


def encode_change(tenant_id: str, notice: Notice) -> bytes:
    """The event that tells the log what is said of a notice now."""
    return pb.NoticeChanged(
        tenant_id=tenant_id,
        notice_hash=notice.digest,
        language=notice.language,
        effective_from=_stamp(notice.from_us),
        effective_to=_stamp(notice.until_us),
        first_used_at=_stamp(notice.first_used_us),
        registered_at=_stamp(notice.registered_us or None),
        version=notice.version,
    ).SerializeToString()


def _stamp(us: int | None) -> Timestamp | None:
    return None if us is None else timestamp(us)
