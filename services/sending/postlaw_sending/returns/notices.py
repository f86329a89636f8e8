"""What is known of a message without a mail that came back: our own SMTP dialogue said it, or a provider whose word is proved."""

from __future__ import annotations

from typing import Literal

import msgspec

from postlaw_sending.messages.return_path import SentMessage
from postlaw_sending.returns.returned import Class


class Notice(msgspec.Struct, frozen=True):
    """`source` and `id` make a repeat the same notice. `sent`: which message, its person b"" where `subscriber_id` names them.
    `status`: RFC 3463's, or ""."""

    source: Literal["smtp"]
    id: str
    sent: SentMessage
    subscriber_id: str
    kind: Literal["dsn", "arf"]
    cls: Class
    status: str
