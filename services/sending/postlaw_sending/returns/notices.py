"""What is known of a message without a mail that came back: our own SMTP dialogue said it, or a provider whose word is proved."""

from __future__ import annotations

from typing import Literal

import msgspec

from postlaw_sending.messages.return_path import SentMessage
from postlaw_sending.returns.returned import Class

Source = Literal["smtp", "ses", "sendgrid", "postmark", "mailgun"]


class Notice(msgspec.Struct, frozen=True):
    """`source` and `id` make a repeat the same notice. `sent`: which message, its person b"" where `address` names them.
    `status`: RFC 3463's, or ""."""

    source: Source
    id: str
    sent: SentMessage
    address: str
    kind: Literal["dsn", "arf"]
    cls: Class
    status: str
