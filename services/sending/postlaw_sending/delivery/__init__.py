"""The SMTP engine: `connect(relay)` gives a `Connection` that hands messages over with several transactions in flight.

What a hand-off came to is a `Reply`, whose kind is exact: see replies.py. `Lanes` keeps a worker's connections alive.
"""

from __future__ import annotations

from postlaw_sending.delivery.connection import Connection
from postlaw_sending.delivery.lanes import Lane, Lanes
from postlaw_sending.delivery.opening import CannotConnect, connect
from postlaw_sending.delivery.relay import Relay, TlsPolicy
from postlaw_sending.delivery.replies import Kind, Reply

__all__ = ["CannotConnect", "Connection", "Kind", "Lane", "Lanes", "Relay", "Reply", "TlsPolicy", "connect"]
