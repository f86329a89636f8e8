"""A provider's report, taken (gRPC TakeProviderReport): proved, made notices, and durable before it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, get_args

from postlaw_common.errors import Denied, NotFound, Unavailable
from postlaw_common.telemetry import get_logger
from postlaw_sending.returns.notices import Source
from postlaw_sending.returns.received import Received
from postlaw_sending.returns.webhooks import signatures
from postlaw_sending.returns.webhooks.reports import Read, notices_in

_PROVIDERS: Final = frozenset(get_args(Source)) - {"smtp"}
_SENDGRID: Final = "x-twilio-email-event-webhook-"
_log = get_logger("sending.returns")


@dataclass(frozen=True, slots=True)
class Secrets:
    """What proves each provider's reports; empty where it may not report. `ses_topics`: ARNs. `postmark`: user:password."""

    ses_topics: tuple[str, ...] = ()
    sendgrid: str = ""
    postmark: str = ""
    mailgun: str = ""


class TakeReports:
    """`fetch`: see signatures.sns; it may block."""

    def __init__(
        self,
        secrets: Secrets,
        received: Received,
        read: Read,
        nudge: Callable[[], None],
        fetch: Callable[[str], bytes] = signatures.fetched,
    ) -> None:
        self._secrets = secrets
        self._received = received
        self._read = read
        self._nudge = nudge
        self._certificate = lru_cache(maxsize=8)(fetch)

    async def __call__(self, provider: str, headers: Mapping[str, str], body: bytes) -> int:
        """How many notices are in it, each durable. Raises NotFound, Denied, Unavailable, StoreUnavailable, KeysUnavailable."""
        source: Source | None = next((one for one in get_args(Source) if one == provider and one in _PROVIDERS), None)
        if source is None:
            raise NotFound("There is no such provider.")
        report = signatures.parsed(body)
        if not await self._proved(source, headers, body, report):
            raise Denied("This report is not proved to be the provider's.")
        if source == "ses":
            if report.get("Type") != "Notification":
                _log.alert("a topic of Amazon SNS waits to be confirmed, in its console", topic=report["TopicArn"])
                return 0
            report = signatures.parsed(str(report.get("Message", "")).encode())
        notices = await asyncio.to_thread(notices_in, source, report, self._read)
        if notices:
            await self._received.take_notices(notices)
            self._nudge()
        return len(notices)

    async def _proved(self, source: Source, headers: Mapping[str, str], body: bytes, report: Any) -> bool:
        now_s, secrets = self._received.now_us() / 1e6, self._secrets
        if source == "mailgun":
            return bool(secrets.mailgun) and isinstance(report, dict) and signatures.mailgun(secrets.mailgun, report, now_s)
        if source == "sendgrid":
            timestamp, signature = headers.get(_SENDGRID + "timestamp", ""), headers.get(_SENDGRID + "signature", "")
            return bool(secrets.sendgrid) and signatures.sendgrid(secrets.sendgrid, timestamp, signature, body, now_s)
        if source == "postmark":
            return bool(secrets.postmark) and signatures.postmark(secrets.postmark, headers.get("authorization", ""))
        try:
            return isinstance(report, dict) and await asyncio.to_thread(signatures.sns, secrets.ses_topics, report, self._certificate)
        except OSError as away:
            raise Unavailable("The certificate of Amazon SNS cannot be fetched now.") from away
