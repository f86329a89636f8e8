"""Where Kafka is and how to speak to it, from a URL:

`kafka://[user:password@]host:port[,host:port…][?replication=1&security=SASL_SSL&mechanism=SCRAM-SHA-512&cafile=…&certfile=…&keyfile=…]`

User and password may come from POSTLAW_KAFKA_USERNAME and POSTLAW_KAFKA_PASSWORD instead, so that a URL need not be a secret.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiokafka.errors import KafkaError

from postlaw_common.bus import BusUnavailable

KNOWN = {"replication", "security", "mechanism", "cafile", "certfile", "keyfile"}


@dataclass(frozen=True, slots=True)
class Connection:
    """`replication` 3 means min.insync.replicas 2; 1 (one broker: a test, a small installation) means 1."""

    servers: str
    replication: int
    options: dict[str, Any]  # for every aiokafka client

    @property
    def min_insync(self) -> int:
        return max(1, self.replication - 1)


def parse(url: str, client_id: str) -> Connection:
    """Raises ValueError with one clear line."""
    authority, _, query = url.removeprefix("kafka://").partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := given.keys() - KNOWN:
        raise ValueError(f"POSTLAW_BUS does not know {', '.join(sorted(unknown))}; it knows {', '.join(sorted(KNOWN))}")
    credentials, _, servers = authority.rstrip("/").rpartition("@")
    if not servers:
        raise ValueError("POSTLAW_BUS names no broker: kafka://host:port[,host:port…]")
    user, _, password = credentials.partition(":")
    user = unquote(user) or os.environ.get("POSTLAW_KAFKA_USERNAME", "")
    password = unquote(password) or os.environ.get("POSTLAW_KAFKA_PASSWORD", "")
    security = given.get("security", "SASL_SSL" if user else "PLAINTEXT").upper()
    options: dict[str, Any] = {"bootstrap_servers": servers, "client_id": client_id, "security_protocol": security}
    if security.startswith("SASL"):
        options |= {
            "sasl_mechanism": given.get("mechanism", "SCRAM-SHA-512"),
            "sasl_plain_username": user,
            "sasl_plain_password": password,
        }
    if security.endswith("SSL"):
        context = ssl.create_default_context(cafile=given.get("cafile"))
        if "certfile" in given:
            context.load_cert_chain(given["certfile"], given.get("keyfile"))
        options["ssl_context"] = context
    replication = given.get("replication", "3")
    if not replication.isdecimal() or int(replication) < 1:
        raise ValueError(f"replication in POSTLAW_BUS must be a whole number from 1 on, not {replication!r}")
    return Connection(servers, int(replication), options)


@contextmanager
def as_unavailable(doing: str, servers: str) -> Generator[None, None, None]:
    """Kafka's errors and time-outs become BusUnavailable with what was being done, and where."""
    try:
        yield
    except (KafkaError, TimeoutError, OSError) as error:
        raise BusUnavailable(f"{doing}: Kafka at {servers} does not answer ({type(error).__name__}: {error})") from error
