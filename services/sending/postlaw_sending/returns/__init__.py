"""What comes back: bounces (RFC 3464 and told in prose), complaints (RFC 5965) and automatic replies (RFC 3834)."""

from __future__ import annotations

from postlaw_sending.returns.classify import classify
from postlaw_sending.returns.returned import Returned, ReturnedRecipient

__all__ = ["Returned", "ReturnedRecipient", "classify"]
