"""A DNS server on loopback, over UDP, that answers from records that a test sets and may change while it runs.

It speaks the protocol by dnspython, as the resolver under test does: what it proves is our checks and their asking, not that library.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Trouble = Literal["silence", "servfail"]


class DnsServer(asyncio.DatagramProtocol):
    """`records`: texts as a zone file has them, by (name, type). `troubles`: names that are not answered so."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.troubles: dict[str, Trouble] = {}
        self.address = ""
        self.transport: asyncio.DatagramTransport | None = None

    def put(self, name: str, kind: str, *texts: str) -> None:
        """In place of what was there; no texts take it away."""
        self.records[name, kind] = list(texts)

    def put_text(self, name: str, text: str) -> None:
        """A TXT record of any length, in strings of 255 (RFC 1035 §3.3.14)."""
        self.put(name, "TXT", " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255)))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        [question] = query.question
        name = question.name.to_text(omit_final_dot=True).lower().removesuffix(".")
        trouble = self.troubles.get(name)
        if trouble == "silence":
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA
        kind = dns.rdatatype.to_text(question.rdtype)
        texts = [text for text in self.records.get((name, kind), []) if text]
        if trouble == "servfail":
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif texts:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *texts))
        elif not any(known == name and found for (known, _), found in self.records.items()):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        assert self.transport is not None
        self.transport.sendto(answer.to_wire(max_size=65_535), addr)


@asynccontextmanager
async def dns_server() -> AsyncGenerator[DnsServer]:
    """Running; `address` is what POSTLAW_SENDING_DNS takes."""
    server = DnsServer()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", 0))
    server.transport = transport
    try:
        server.address = f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
        yield server
    finally:
        transport.close()
