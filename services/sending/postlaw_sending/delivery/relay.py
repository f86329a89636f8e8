"""Where mail is handed over, and how: the settings of one next server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TlsPolicy = Literal["none", "opportunistic", "encrypted", "required"]


@dataclass(frozen=True, slots=True)
class Relay:
    """One next server. Times are seconds; `depth` is the number of transactions in flight on a connection.

    `tls`: "none" never asks for TLS; "opportunistic" uses it where the server can, unauthenticated, and plaintext otherwise
    (RFC 7435); "encrypted" hands nothing over in plaintext, and asks for no certificate that verifies; "required" hands nothing over
    without TLS 1.2 or better and a certificate of `host` that verifies (RFC 3207 §4.1) against `tls_ca`, a PEM file, or the system's
    authorities where it is empty.

    `addresses`: those of `host`, tried in this order; none: the system resolves it. `sources`: addresses of ours that connections leave
    from, one a family, and other families are then left out; none: the system chooses.
    """

    host: str
    port: int = 25
    connections: int = 10
    depth: int = 8
    tls: TlsPolicy = "opportunistic"
    ehlo: str = "localhost"
    tls_ca: str = ""
    addresses: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    connect_s: float = 10.0
    greeting_s: float = 30.0  # RFC 5321 §4.5.3.2.1 asks for patience here: a loaded server takes long to greet
    command_s: float = 30.0
    reply_s: float = 60.0  # without any reply for so long while one is due, the connection is reset

    def __post_init__(self) -> None:
        if self.depth < 1 or self.connections < 1:
            raise ValueError("a relay needs a depth and a number of connections of at least 1")
